"""Says in Markdown what a published policy is, how it was trained, how well it does, and where it fails."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rlmpc.algorithms.table import ALGORITHMS
from rlmpc.checkpoint.file import Checkpoint
from rlmpc.command_line.files import load_choice
from rlmpc.config.fill import fill
from rlmpc.config.overrides import flatten
from rlmpc.contract.contract import Contract
from rlmpc.contract.episode import FOLLOWED, STAY_RADIUS_M, Episode
from rlmpc.errors import UserError
from rlmpc.evaluation.metrics import METRICS, totals
from rlmpc.evaluation.mismatch import command_warnings
from rlmpc.sim2sim.walker import check_served

SHOWN = ("success_rate", "falls_per_minute", "followed", "rmse_xy", "rmse_yaw")
"""Columns of the tables."""

MANY_FALLS = 0.1
"""Share of the episodes that end in a fall from which a ground is named among the limits."""


def identity(checkpoint: Checkpoint, groups: Iterable[str]) -> list[str]:
    """Return lines that say which policy a published file holds; a test compares them with the file.

    Args:
        checkpoint: the published file.
        groups: observation groups that the policy reads.
    """
    schema = Contract.from_dict(checkpoint.hyperparameters["contract"]).observations
    read = [
        f"- observations `{group}`, {schema.dims()[group]} numbers: "
        + ", ".join(f"{t.name} ({t.dim}{f' x {t.history} steps' * (t.history > 1)})" for t in schema.groups[group])
        for group in groups
    ]
    return [
        f"- task `{checkpoint.config['task']['name']}`, agent `{checkpoint.algorithm}`, "
        f"stage `{checkpoint.config['stage']}`, iteration {checkpoint.iteration}",
        *read,
        f"- SHA-256 of `{checkpoint.path.name}`: `{checkpoint.sha256}`",
        f"- SHA-256 of the checkpoint it was published from: `{checkpoint.published_from}`",
    ]


def usage(checkpoint: Checkpoint, folder: Path, groups: Iterable[str]) -> list[str]:
    """Return lines with the commands that play the policy, and that build upon it."""
    lines = [f"    python play.py ckpt={folder}", f"    python play.py ckpt={folder} video=true"]
    if _unserved(checkpoint, groups) is None:
        lines.append(f"    python play.py ckpt={folder} backend=mujoco")
    lines += [
        f"    python train.py stage={algorithm.stage} {algorithm.starts_from}_ckpt={folder}"
        for algorithm in ALGORITHMS.values()
        if algorithm.starts_from in (checkpoint.config["stage"], checkpoint.algorithm)
    ]
    return lines


def training(checkpoint: Checkpoint) -> list[str]:
    """Return lines that say how a checkpoint was trained, with the command that does it again."""
    config, made_of = checkpoint.config, checkpoint.hyperparameters
    num_envs = sum(rank.get("num_envs", 0) for rank in checkpoint.ranks)
    steps = checkpoint.iteration * made_of["agent"]["num_steps"] * num_envs
    algorithm = ALGORITHMS[checkpoint.algorithm]
    origin = () if algorithm.starts_from is None else (f"{algorithm.starts_from}_ckpt=PATH",)
    named = (f"stage={config['stage']}", f"task={config['task']['name']}", f"agent={checkpoint.algorithm}")
    # A stage that starts from a checkpoint takes the task from there.
    numbers = (f"seed={config['seed']}", f"trainer.max_epochs={checkpoint.iteration}")
    command = [named[0], *(origin or named[1:]), *numbers, *_changed(checkpoint)]
    lines = [
        f"{checkpoint.iteration} iterations of {made_of['agent']['num_steps']} steps in {num_envs} environments "
        f"({steps / 1e6:.0f} M environment steps). Overrides, and what differs from the agent's defaults in this task:",
        "",
        f"    python train.py {' '.join(command)}",
    ]
    if "teacher" in made_of:
        teacher = made_of["teacher"]
        what = f"Its teacher: agent `{teacher['agent']['algorithm']}`, iteration {teacher['iteration']}"
        lines += ["", f"{what}, SHA-256 of its checkpoint `{teacher['sha256']}`."]
    if config.get("init_ckpt") is not None:
        lines += ["", "It started with the weights of another policy (`init_ckpt`)."]
    if checkpoint.command_ranges:
        reached = (f"{axis} {low:g} to {high:g}" for axis, (low, high) in checkpoint.command_ranges.items())
        lines += ["", f"Commands at the end of training [m/s, rad/s]: {', '.join(reached)}."]
    return lines


def evaluation(episodes: Sequence[Episode]) -> list[str]:
    """Return tables over ground and level, over commands, and over all three."""
    lines = [f"- `{name}`: {METRICS[name]}" for name in SHOWN]
    for keys in (("terrain", "level"), ("command",), ("terrain", "level", "command")):
        lines += ["", *_table(episodes, keys)]
    return lines


def limits(
    checkpoint: Checkpoint, groups: Iterable[str], episodes: Sequence[Episode], command_names: tuple[str, ...]
) -> list[str]:
    """Return what the numbers say that the policy cannot do, one sentence a line."""
    margin = 1.0 / math.sqrt(len(episodes))
    lines = [
        f"It succeeds in {totals(episodes)['success_rate']:.0%} of {len(episodes)} episodes, give or take "
        f"{margin:.0%}; a row of the tables below is known less well."
    ]
    if (reason := _unserved(checkpoint, groups)) is not None:
        lines.append(f"In the task's own simulation only: {reason}.")
    for (command,), members in _grouped(episodes, ("command",)).items():
        whole = totals(members)
        if whole["followed"] is not None and whole["followed"] < FOLLOWED:
            lines.append(f"Of the command {command} it follows {whole['followed']:.0%}, less than {FOLLOWED:.0%}.")
        elif members[0].trial.command and whole["followed"] is None and whole["success_rate"] < 1.0:
            lines.append(
                f"Told to stand, it falls or leaves a radius of {STAY_RADIUS_M} m in {1 - whole['success_rate']:.0%}."
            )
    for (terrain, level), members in _grouped(episodes, ("terrain", "level")).items():
        falls = sum(episode.fell for episode in members)
        if falls >= MANY_FALLS * len(members):
            lines.append(f"On {terrain} at level {level}, {falls} of {len(members)} episodes end in a fall.")
    trials = [episode.trial for episode in episodes]
    lines += [f"{line}." for line in command_warnings(trials, command_names, checkpoint.command_ranges)]
    return [f"- {line}" for line in lines]


def wrapped(line: str) -> str:
    """Wrap a line of text; rows of tables and commands stay whole."""
    if line.startswith(("|", "    ")):
        return line
    return textwrap.fill(
        line, 120, subsequent_indent="  " * line.startswith("- "), break_long_words=False, break_on_hyphens=False
    )


def _unserved(checkpoint: Checkpoint, groups: Iterable[str]) -> str | None:
    """Return why the policy cannot act outside its task's own simulation; None if it can."""
    try:
        check_served(Contract.from_dict(checkpoint.hyperparameters["contract"]), groups)
    except UserError as error:
        return str(error).partition(";")[0]
    return None


def _changed(checkpoint: Checkpoint) -> list[str]:
    """Return arguments for what differs from the task's own file: settings of the agent, then of the environment."""
    task = load_choice("task", checkpoint.config["task"]["name"], checkpoint.path)
    default = ALGORITHMS[checkpoint.algorithm].settings()
    fill(default, task.get("agent", {}))
    fill(default, task.get("agents", {}).get(checkpoint.algorithm, {}))
    defaults = asdict(default)
    saved = {name: v for name, v in checkpoint.hyperparameters["agent"].items() if v != defaults.get(name)}
    changed = {f"agent.{name}": value for name, value in saved.items()}
    env, said = flatten(checkpoint.config["env"], "env."), flatten(task.get("env", {}), "env.")
    changed |= {key: value for key, value in env.items() if key not in said or value != said[key]}
    return [f"{key}={json.dumps(value, separators=(',', ':'))}".replace('"', "") for key, value in changed.items()]


def _grouped(episodes: Sequence[Episode], keys: Sequence[str]) -> dict[tuple[Any, ...], list[Episode]]:
    """Group episodes by fields of their trials; a command becomes text."""
    groups: dict[tuple[Any, ...], list[Episode]] = {}
    for episode in episodes:
        fields = {**asdict(episode.trial), "command": f"({', '.join(f'{x:g}' for x in episode.trial.command)})"}
        groups.setdefault(tuple(fields[key] for key in keys), []).append(episode)
    return groups


def _table(episodes: Sequence[Episode], keys: Sequence[str]) -> list[str]:
    rows = [((*place, len(members)), totals(members)) for place, members in _grouped(episodes, keys).items()]
    rows.append((("all", *[""] * (len(keys) - 1), len(episodes)), totals(episodes)))
    lines = [_row([*keys, "episodes", *SHOWN]), _row(["---"] * (len(keys) + 1 + len(SHOWN)))]
    for place, whole in rows:
        lines.append(_row([*place, *("-" if whole[name] is None else f"{whole[name]:.2f}" for name in SHOWN)]))
    return lines


def _row(cells: Iterable[Any]) -> str:
    return f"| {' | '.join(map(str, cells))} |"
