"""Measures the speed of training against rsl_rl 5.5.1, on one environment, with equal settings.

`python benchmarks/throughput.py task=blind_rl num_envs=[1024,4096,16384]`, or `task=toy num_envs=[256]` on a CPU. Takes
the arguments of `train.py` besides its own, `Arguments`; prints lines of JSON as it goes and a table at the end.

Every number of environments runs in a process of its own. In it, the sides train in turn on the same environment, each
from its start: `blocks` times, every second time in reverse order. Their networks, normalization, minibatches and
precision of matrix products are alike; both log to a temporary folder. Figures of a block leave out its first
iterations, in which recorded graphs come into being. A side is a learner, or a learner with settings of its own:
`"sides=[ours,ours faults.dump=true,rsl_rl]"` tells what recording faults costs. Then, for `ours`:

- `parts`: what an iteration's time is spent on, with the GPU's time of a part measured from event to event;
- `gpu`: how long the GPU is busy, and what starts its work, by torch's profiler (which slows the host down);
- `host reads`: how often our code waits for a number from the device;
- `env.step` alone, with random actions as spread as the policy's first ones, and `physics` alone: the substeps of a
  step, with a whole step in between now and then, so that robots that fell start again.

Compare only what one command has measured.
"""

from __future__ import annotations

import gc
import json
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from benchmarks.breakdown import Inspection
from benchmarks.driver_busy import DriverBusy
from benchmarks.harness import Clock, device_name, print_line, quiet_lightning, settings_among, spread
from benchmarks.rsl_rl_env import stock_env
from benchmarks.sides import Side, make_sides, train_ours, train_side
from callbacks.throughput import Moment
from rlmpc.config.setting import check_settings, setting
from rlmpc.config.train import TrainCfg
from rlmpc.envs.make import env_config, make_env, num_envs_for
from rlmpc.envs.vec_env import VecEnv
from rlmpc.errors import RunError
from rlmpc.run.command import run_command
from rlmpc.run.device import resolve_device
from train import choose_kernels

PHYSICS_PER_STEP = 5
"""Times that physics alone runs between two whole steps."""
BLOCK_STEPS = 25
"""Steps in a block of `env.step` or physics alone."""
PACKAGES = ("torch", "rsl-rl-lib", "isaaclab", "newton", "mujoco-warp", "warp-lang")


@dataclass
class Arguments:
    """Arguments of the script; all others are `train.py`'s."""

    num_envs: list[int] = field(default_factory=list)
    """Numbers of environments; none is the task's own for the device."""
    sides: list[str] = field(default_factory=lambda: ["ours", "rsl_rl"])
    """Any of `benchmarks.sides.LEARNERS`, with or without settings of its own; none trains nothing."""
    blocks: int = setting(4, least=1)
    iterations: int = setting(15, least=1)
    """Iterations of a block that count."""
    warm_up: int = setting(5, least=1)
    """Iterations before these."""
    inspect: bool = True
    """Whether parts, GPU and host reads are looked at."""
    steps: int = setting(200, least=0)
    """Steps of `env.step` and of physics alone; 0 leaves both out."""


class Measurement:
    """All figures of one number of environments.

    Args:
        own: the script's arguments.
        cfg: the config of a run.
        sides: those that are compared.
    """

    def __init__(self, own: Arguments, cfg: TrainCfg, sides: list[Side]) -> None:
        self.own, self.cfg, self.sides = own, cfg, sides
        self.device = resolve_device(cfg.device)
        env_cfg = env_config(cfg.task, cfg.env)
        self.num_envs = num_envs_for(cfg.task, cfg.num_envs, self.device)
        choose_kernels(cfg, env_cfg)
        torch.manual_seed(cfg.seed)
        value_group = getattr(cfg.agent, "critic_group", cfg.agent.actor_group)
        self.env: VecEnv = make_env(cfg.task, env_cfg, self.num_envs, self.device, cfg.seed, value_group, None, _tell)
        self._curriculum = self.env.curriculum()
        self._iteration_ms: dict[str, float] = {}
        """Median of each side that has trained."""

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield one line of figures after another."""
        versions = {name: version(name) for name in PACKAGES if _is_installed(name)}
        yield {
            "figures": "setup",
            "device": device_name(self.device),
            "threads": torch.get_num_threads(),
            "task": self.cfg.task.name,
            "matmul_precision": self.cfg.matmul_precision,
            **versions,
        }
        own = self.own
        if self.sides:
            yield from self._training()
        if own.inspect and "ours" in self._iteration_ms:
            yield from self._inspection()
        if own.steps:
            yield from self._alone()

    def _training(self) -> Iterator[dict[str, Any]]:
        runs: dict[str, list[dict[str, list[float]]]] = {side.name: [] for side in self.sides}
        for block in range(self.own.blocks):
            for side in self.sides[:: 1 if block % 2 == 0 else -1]:
                runs[side.name].append(self._block(side))
                speeds = runs[side.name][-1]["env_steps_per_s"]
                yield {"figures": "block", "side": side.name, "block": block, **spread("env_steps_per_s", speeds)}
        for side, blocks in runs.items():
            merged = {name: [value for block in blocks for value in block.get(name, [])] for name in blocks[0]}
            self._iteration_ms[side] = median(merged["iteration_ms"])
            memory = {name: max(merged.pop(name)) for name in [*merged] if name.endswith("_gib")}
            figures = {key: value for name, values in merged.items() for key, value in spread(name, values).items()}
            yield {"figures": "training", "side": side, **figures, **memory}
        if "ours" in runs:
            for side in [name for name in runs if name != "ours"]:
                # Of blocks that were measured next to each other.
                pairs = zip(runs["ours"], runs[side], strict=True)
                ratios = [median(theirs["iteration_ms"]) / median(ours["iteration_ms"]) for ours, theirs in pairs]
                yield {"figures": "ratio", "side": side, **spread("ours_to_it", ratios)}

    def _block(self, side: Side) -> dict[str, list[float]]:
        """Train a side and return figures of every iteration that counts."""
        iterations: list[Sequence[Moment]] = []
        memory: dict[str, float] = {}
        busy, shares = DriverBusy(self.device), list[float]()
        num_iterations = self.own.warm_up + self.own.iterations

        def watch(moments: Sequence[Moment], learner: object) -> None:
            iterations.append(moments)
            if len(iterations) == self.own.warm_up:
                busy.start()
            elif len(iterations) == num_iterations:
                shares.extend(busy.stop())
                # What a training holds does not shrink.
                memory.update(_memory(self.device))

        self._start_afresh()
        with tempfile.TemporaryDirectory() as folder:
            train_side(side, self.env, num_iterations, Path(folder) / "run", watch)
        counted = iterations[self.own.warm_up :]
        ends = [moments[-1] for moments in iterations[self.own.warm_up - 1 :]]
        seconds = [start.seconds_until(end) for start, end in pairwise(ends)]
        return {
            "env_steps_per_s": [self.num_envs * self.cfg.agent.num_steps / s for s in seconds],
            "iteration_ms": [1000.0 * s for s in seconds],
            "collect_ms": [1000.0 * start.seconds_until(collected) for start, collected, *_ in counted],
            "learn_ms": [1000.0 * collected.seconds_until(learned) for _, collected, learned, _ in counted],
            **({"driver_busy_share": shares} if shares else {}),
            **{name: [value] for name, value in memory.items()},
        }

    def _inspection(self) -> Iterator[dict[str, Any]]:
        self._start_afresh()
        inspection = Inspection(self.env, self.own.warm_up, min(self.own.iterations, 5))
        with tempfile.TemporaryDirectory() as folder:
            train_ours(self.cfg, self.env, inspection.num_iterations, Path(folder) / "run", [inspection])
        parts, graphs = inspection.times_ms()
        yield {"figures": "parts_ms", **parts}
        yield {"figures": "of these, recorded_ms", **graphs}
        if work := inspection.work.figures():
            # The profiler makes the host slower, but not the kernels.
            yield {"figures": "gpu", "gpu_busy_share": work["gpu_busy_ms"] / self._iteration_ms["ours"], **work}
        yield {"figures": "host reads", **inspection.reads.figures()}

    def _alone(self) -> Iterator[dict[str, Any]]:
        env, device, spread_of_actions = self.env, self.device, self.cfg.agent.init_std

        def actions() -> torch.Tensor:
            return torch.randn(self.num_envs, env.num_actions, device=device) * spread_of_actions

        with torch.no_grad():
            self._start_afresh()
            env.reset()
            env.stagger_episodes()
            env.pop_metrics()
            yield self._timed("env.step", lambda: env.step(actions())) | self._memory_and_solver()
            inner = getattr(env, "unwrapped", None)
            if inner is None:
                return
            with stock_env(env, stagger_episodes=True) as stock:
                yield self._timed("env.step of Isaac Lab", lambda: stock.step(actions()))
            env.reset()
            alone = self._timed("physics", lambda: physics(inner), lambda: env.step(actions()))
            yield alone
            for side, iteration_ms in self._iteration_ms.items():
                share = alone["ms"] * self.cfg.agent.num_steps / iteration_ms
                yield {"figures": "training to physics", "side": side, "share": share}

    def _timed(self, name: str, step: Callable[[], Any], between: Callable[[], Any] | None = None) -> dict[str, Any]:
        """Time blocks of steps, after a warm-up block; `between` runs now and then and does not count."""
        clock = Clock(self.device)

        def block() -> float:
            clock.restart()
            for t in range(block_steps):
                step()
                if between is not None and t % PHYSICS_PER_STEP == 0:
                    clock.pause()
                    between()
                    clock.resume()
            return clock.pause()

        block_steps = min(self.own.steps, BLOCK_STEPS)
        block()
        seconds = [block() / block_steps for _ in range(max(1, self.own.steps // block_steps))]
        speeds = spread("env_steps_per_s", [self.num_envs / s for s in seconds])
        return {"figures": name, **speeds, **spread("ms", [1000.0 * s for s in seconds])}

    def _memory_and_solver(self) -> dict[str, float]:
        """Return memory of the process, and what the solver had to hold since the last call."""
        metrics = {name: (total / weight).item() for name, (total, weight) in self.env.pop_metrics().items()}
        resident_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        peaks = {name: value for name, value in metrics.items() if name.startswith("sim/")}
        return {"resident_memory_gib": resident_gib, **peaks}

    def _start_afresh(self) -> None:
        """Release what the last training left, and return to the curriculum of the start."""
        self.env.load_curriculum(self._curriculum)
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)


def physics(env: Any) -> None:
    """Run the physics steps of one step of Isaac Lab's environment, as its `step` does, with the last actions."""
    steps_per_call = env.cfg.decimation if env._physics_handles_decimation else 1
    for _ in range(env.cfg.decimation // steps_per_call):
        env.action_manager.apply_action()
        env.scene.write_data_to_sim()
        env.sim.step(render=False)
        env.scene.update(dt=env.physics_dt * steps_per_call)


def _memory(device: torch.device) -> dict[str, float]:
    """Return what is in use on a GPU, by everything and by torch; neither shrinks during a training."""
    if device.type == "cpu":
        return {}
    free, total = torch.cuda.mem_get_info(device)
    return {"device_memory_gib": (total - free) / 2**30, "torch_memory_gib": torch.cuda.max_memory_reserved() / 2**30}


def _is_installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def table(lines: list[dict[str, Any]]) -> str:
    """Return lines of figures as a table: a row for every number, a column for every number of environments."""
    columns = sorted({line["num_envs"] for line in lines})
    rows: dict[str, dict[int, str]] = {}
    for line in lines:
        if line["figures"] in ("setup", "block"):
            continue
        title = " ".join(line[name] for name in ("figures", "side") if name in line)
        for name, value in line.items():
            is_figure = isinstance(value, int | float) and name != "num_envs"
            if not is_figure or name.endswith(("_lowest", "_highest")):
                continue
            text = shown(value)
            if f"{name}_lowest" in line:
                text += f" ({shown(line[f'{name}_lowest'])} - {shown(line[f'{name}_highest'])})"
            rows.setdefault(f"{title}: {name}", {})[line["num_envs"]] = text
    cells = [["", *(f"{column} envs" for column in columns)]]
    cells += [[title, *(row.get(column, "-") for column in columns)] for title, row in rows.items()]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns) + 1)]
    return "\n".join("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in cells)


def shown(value: float) -> str:
    """Return a number with at least three digits that count."""
    return f"{value:.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"


def measure_each(own: Arguments, arguments: list[str]) -> list[dict[str, Any]]:
    """Measure every number of environments in a process of its own, and return all lines.

    Raises:
        RunError: if a process fails, after what it has measured is printed.
    """
    lines: list[dict[str, Any]] = []
    others = [argument for argument in arguments if not argument.startswith("num_envs=")]
    for num_envs in own.num_envs:
        command = [sys.executable, __file__, *others, f"num_envs=[{num_envs}]"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for text in process.stdout:
                if text.startswith("{"):
                    lines.append(json.loads(text))
                    print(text, end="", flush=True)
        if process.returncode != 0:
            print(table(lines))
            raise RunError(f"the measurement of {num_envs} environments ended with exit code {process.returncode}")
    return lines


def read(arguments: list[str]) -> tuple[Arguments, TrainCfg, list[Side]]:
    """Return the script's own arguments, the config of a run of the first number of environments, and the sides.

    Raises:
        UserError: if an argument does not fit, or a side does not.
    """
    # One number needs no brackets.
    bracketed = [re.sub(r"^num_envs=(\d+)$", r"num_envs=[\1]", argument) for argument in arguments]
    own, others = settings_among(Arguments, bracketed)
    check_settings(own, "")
    return own, *make_sides(own.sides, [*others, *(f"num_envs={num_envs}" for num_envs in own.num_envs[:1])])


def main(arguments: list[str]) -> None:
    """Measure and print."""
    own, cfg, sides = read(arguments)
    if len(own.num_envs) > 1:
        print(table(measure_each(own, arguments)))
        return
    quiet_lightning()
    lines: list[dict[str, Any]] = []
    measurement = Measurement(own, cfg, sides)
    for figures in measurement.lines():
        lines.append({"num_envs": measurement.num_envs, **figures})
        print_line(lines[-1])
    measurement.env.close()
    print(table(lines))


if __name__ == "__main__":
    run_command(main)
