"""Draws how our learner and rsl_rl 5.5.1 learn the same task, against environment steps and against time.

`python benchmarks/learning.py task=blind_rl seeds=[1,2,3] iterations=500 folder=curves` takes the arguments of
`train.py` besides its own, `Arguments`. Every side and seed runs in a process of its own, one after another (with
`gpus=2`, two at a time), and writes `<side>_seed<seed>.csv`: mean return of the episodes that ended in an iteration,
and mean level. It ends after `iterations` or `seconds`, whichever is first. A run whose file is complete is not
repeated, so a command that was cut off is given again as it was. Then `curves.png` shows mean, lowest and highest over
the seeds, and a line of JSON for each side its end.

`python benchmarks/learning.py draw=[curves_a,curves_b] folder=curves` runs nothing, and draws what is in several
folders: runs that differ in more than the seed by what they differ in.

Time is that of whole iterations, without the start of the simulator.
"""

from __future__ import annotations

import csv
import json
import math
import multiprocessing
import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from rsl_rl.env import VecEnv as RslRlVecEnv
from torch import Tensor

from benchmarks.harness import print_line, quiet_lightning, settings_among
from benchmarks.sides import Side, make_sides, train_side
from callbacks.throughput import Moment
from rlmpc.config.setting import check_settings, setting
from rlmpc.envs.make import env_config, make_env, num_envs_for
from rlmpc.envs.vec_env import VecEnv
from rlmpc.errors import UserError
from rlmpc.learners.base import OnPolicyLearner
from rlmpc.run.command import run_command
from rlmpc.run.device import resolve_device, visible_gpus

COLUMNS = ("iteration", "env_steps", "wall_s", "return", "level")
RECORD = "arguments.json"
"""File beside the curves with the arguments of `train.py`."""
LAST = 10
"""Iterations at the end of which the result is the mean."""


@dataclass
class Arguments:
    """Arguments of the script; all others are `train.py`'s."""

    sides: list[str] = field(default_factory=lambda: ["ours", "rsl_rl"])
    """Any of `benchmarks.sides.LEARNERS`, with or without settings of its own."""
    seeds: list[int] = field(default_factory=lambda: [1, 2, 3])
    iterations: int = setting(300, least=1)
    seconds: float = setting(0.0, least=0)
    """Time after which a run ends with the iteration; 0: it has all its iterations."""
    folder: str = "curves"
    draw: list[str] = field(default_factory=list)
    """Folders of an earlier command, to be drawn together; nothing is run."""
    gpus: int = setting(1, least=1)
    """Runs at the same time, each on a GPU of its own."""


class Episodes:
    """Counts the returns of the episodes of an environment of rsl_rl, as our collector does.

    Args:
        env: its `step` is replaced by one that also counts.
    """

    def __init__(self, env: RslRlVecEnv) -> None:
        self._returns = torch.zeros(env.num_envs, device=env.device)
        self._ended = torch.zeros(2, device=env.device)
        self._step = env.step
        env.step = self._counted

    def _counted(self, actions: Tensor) -> Any:
        obs, reward, done, extras = self._step(actions)
        self._returns += reward
        self._ended += torch.stack([(self._returns * (done > 0)).sum(), (done > 0).sum().float()])
        self._returns *= done == 0
        return obs, reward, done, extras

    def pop_mean(self) -> float:
        """Return the mean return of the episodes that ended since the last call; NaN if none did."""
        total, count = self._ended.tolist()
        self._ended.zero_()
        return total / count if count else float("nan")


def learn(side: Side, seed: int, iterations: int, seconds: float, target: Path) -> None:
    """Train a side for so many iterations or seconds (0: for all iterations), and write its curve row by row."""
    quiet_lightning()
    cfg = side.cfg
    cfg.seed = seed
    device = resolve_device(cfg.device)
    num_envs = num_envs_for(cfg.task, cfg.num_envs, device)
    group = getattr(cfg.agent, "critic_group", cfg.agent.actor_group)
    torch.manual_seed(seed)
    env = make_env(cfg.task, env_config(cfg.task, cfg.env), num_envs, device, seed, group, None, lambda _: None)
    episodes: list[Episodes] = []
    with target.open("w", newline="") as file, tempfile.TemporaryDirectory() as folder:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        done, start = 0, time.perf_counter()

        def watch(moments: Sequence[Moment], learner: OnPolicyLearner | None) -> bool:
            nonlocal done
            done += 1
            # There is none in an iteration in which no episode ends.
            mean_return = episodes[0].pop_mean() if learner is None else learner.numbers.get("episode/return", math.nan)
            wall_s = time.perf_counter() - start
            rows.writerow([done, done * num_envs * cfg.agent.num_steps, wall_s, mean_return, mean_level(env)])
            file.flush()
            return wall_s >= seconds > 0.0

        train_side(side, env, iterations, Path(folder) / "run", watch, lambda env: episodes.append(Episodes(env)))
    env.close()


def mean_level(env: VecEnv) -> float:
    """Return the mean level of difficulty over the environments; NaN if there are no levels."""
    levels = env.curriculum().get("levels")
    return float("nan") if levels is None else levels.float().mean().item()


def read_curve(path: Path) -> dict[str, np.ndarray]:
    """Return the columns of a curve; a last row that was cut off is left out."""
    with path.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    numbers = [[float(cell) for cell in row] for row in rows if len(row) == len(COLUMNS)]
    return dict(zip(COLUMNS, np.array(numbers).reshape(-1, len(COLUMNS)).T, strict=True))


def band(curves: list[dict[str, np.ndarray]], column: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, lowest and highest over runs of a column, as far as all runs reach; NaN where a run has none."""
    length = min(len(curve[column]) for curve in curves)
    values = np.stack([curve[column][:length] for curve in curves])
    return values.mean(axis=0), values.min(axis=0), values.max(axis=0)


def draw(curves: dict[str, list[dict[str, np.ndarray]]], target: Path) -> None:
    """Draw return and level of every side against environment steps and time."""
    figure, axes = plt.subplots(2, 2, figsize=(10, 7), constrained_layout=True)
    for row, (column, title) in zip(axes, (("return", "return of an episode"), ("level", "mean level")), strict=True):
        for axis, (x, label) in zip(row, (("env_steps", "environment steps"), ("wall_s", "time [s]")), strict=True):
            for side, runs in curves.items():
                mean, lowest, highest = band(runs, column)
                along = band(runs, x)[0]
                (line,) = axis.plot(along, mean, linewidth=1.2, label=side)
                axis.fill_between(along, lowest, highest, alpha=0.2, color=line.get_color(), linewidth=0)
            axis.set_title(title, fontsize=10)
            axis.set_xlabel(label)
            axis.grid(alpha=0.3)
    axes[0, 0].legend()
    figure.savefig(target, dpi=90)
    plt.close(figure)


def end_of(side: str, curves: list[dict[str, np.ndarray]]) -> dict[str, Any]:
    """Return where the runs of a side end: means over their last iterations, and over the seeds with their range."""
    line: dict[str, Any] = {"side": side, "runs": len(curves), "iterations": min(len(c["return"]) for c in curves)}
    for column in COLUMNS[1:]:
        ends = [float(np.nanmean(curve[column][-LAST:])) for curve in curves]
        line |= {column: sum(ends) / len(ends), f"{column}_lowest": min(ends), f"{column}_highest": max(ends)}
    return line


def check_folder(folder: Path, arguments: list[str]) -> None:
    """Make the folder of curves, or refuse one that holds curves of other settings.

    Raises:
        UserError: if it does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / RECORD
    if record.exists() and json.loads(record.read_text()) != sorted(arguments):
        raise UserError(f"'{folder}' holds curves of other settings: {' '.join(json.loads(record.read_text()))}")
    record.write_text(json.dumps(sorted(arguments)))


def run_all(runs: list[tuple[Side, int, Path]], own: Arguments) -> None:
    """Make these runs of (side, seed, file), each in a fresh process: one can hold a single simulation only."""
    with ExitStack() as stack:
        workers = [
            stack.enter_context(
                ProcessPoolExecutor(
                    1,
                    mp_context=multiprocessing.get_context("spawn"),
                    initializer=_use_gpu,
                    initargs=(gpu if own.gpus > 1 else None,),
                    max_tasks_per_child=1,
                )
            )
            for gpu in visible_gpus(own.gpus)
        ]
        started = [
            workers[i % len(workers)].submit(learn, side, seed, own.iterations, own.seconds, target)
            for i, (side, seed, target) in enumerate(runs)
        ]
        for run in started:
            run.result()


def _use_gpu(gpu: str | None) -> None:
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu


def read(arguments: list[str]) -> tuple[Arguments, list[Side], list[str]]:
    """Return the script's own arguments, the sides, and the arguments of `train.py`.

    Raises:
        UserError: if an argument does not fit, or a side does not.
    """
    own, others = settings_among(Arguments, arguments)
    check_settings(own, "")
    return own, make_sides(own.sides, others)[1], others


def main(arguments: list[str]) -> None:
    """Run what is missing, draw and print."""
    own, sides, others = read(arguments)
    folder = Path(own.folder)
    if own.draw:
        folder.mkdir(parents=True, exist_ok=True)
        curves = curves_in([Path(name) for name in own.draw])
    else:
        check_folder(folder, others)
        runs = [(side, seed, folder / f"{file_name(side)}_seed{seed}.csv") for seed in own.seeds for side in sides]
        run_all([run for run in runs if not is_complete(run[2], own.iterations, own.seconds)], own)
        curves = {side.name: [read_curve(path) for s, _, path in runs if s is side] for side in sides}
    draw(curves, folder / "curves.png")
    for name, runs_of_side in curves.items():
        print_line(end_of(name, runs_of_side))


def curves_in(folders: list[Path]) -> dict[str, list[dict[str, np.ndarray]]]:
    """Return the curves in folders by side and, where these differ between folders, arguments.

    Raises:
        UserError: if a folder holds none.
    """
    given: dict[Path, list[str]] = {}
    for folder in folders:
        if not (folder / RECORD).exists():
            raise UserError(f"'{folder}' holds no curves; 'draw' takes folders of this script")
        given[folder] = json.loads((folder / RECORD).read_text())
    common = set.intersection(*(set(arguments) for arguments in given.values()))
    curves: dict[str, list[dict[str, np.ndarray]]] = {}
    for folder, arguments in given.items():
        for path in sorted(folder.glob("*_seed*.csv")):
            name = " ".join([path.name.partition("_seed")[0], *(a for a in arguments if a not in common)])
            if len((curve := read_curve(path))["iteration"]):
                curves.setdefault(name, []).append(curve)
    return curves


def file_name(side: Side) -> str:
    """Return the name of a side as it can stand in that of a file."""
    return re.sub("[^A-Za-z0-9_.]+", "-", side.name)


def is_complete(path: Path, iterations: int, seconds: float) -> bool:
    """Return whether a file holds a curve of so many iterations, or of so much time unless that is 0."""
    if not path.exists():
        return False
    curve = read_curve(path)
    return len(curve["iteration"]) >= iterations or (seconds > 0.0 and bool((curve["wall_s"] >= seconds).any()))


if __name__ == "__main__":
    run_command(main)
