"""Plots an evaluation, without a display."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from matplotlib import rcParams
from matplotlib.figure import Figure

from rlmpc.contract.episode import FOLLOWED, Episode
from rlmpc.evaluation.metrics import totals

# Names are text: a `$` in one starts no formula.
rcParams["text.parse_math"] = False

_DPI = 150
_INCHES_PER_GROUP = 0.9


def plot_success(path: Path, episodes: Sequence[Episode]) -> None:
    """Plot the success rate by kind of ground and level, over all commands."""
    terrains = _unique(e.trial.terrain for e in episodes)
    levels = sorted({e.trial.level for e in episodes})
    figure = Figure(figsize=(2.5 + _INCHES_PER_GROUP * len(levels), 1.5 + 0.5 * len(terrains)), layout="constrained")
    axes = figure.subplots()
    rates = [[_success(episodes, terrain, level) for level in levels] for terrain in terrains]
    image = axes.imshow(rates, vmin=0.0, vmax=1.0, cmap="RdYlBu", alpha=0.6, aspect="auto")
    for row, rates_of_terrain in enumerate(rates):
        for column, rate in enumerate(rates_of_terrain):
            axes.text(column, row, "-" if math.isnan(rate) else f"{rate:.0%}", ha="center", va="center")
    axes.set_xticks(range(len(levels)), [str(level) for level in levels])
    axes.set_yticks(range(len(terrains)), terrains)
    axes.set_xlabel("level")
    axes.set_title(f"no fall, {FOLLOWED:.0%} of the command")
    figure.colorbar(image)
    figure.savefig(path, dpi=_DPI)


def plot_tracking(path: Path, episodes: Sequence[Episode]) -> None:
    """Plot how commands are followed, and velocity errors, by kind of ground and command, over all levels."""
    terrains = _unique(e.trial.terrain for e in episodes)
    commands = _unique(e.trial.command for e in episodes)
    figure = Figure(figsize=(4.0 + _INCHES_PER_GROUP * len(terrains) * 3, 3.5), layout="constrained")
    labels = {
        "followed": "velocity along the command / commanded",
        "rmse_xy": "RMSE in the plane [m/s]",
        "rmse_yaw": "RMSE of the yaw rate [rad/s]",
    }
    for axes, (key, label) in zip(figure.subplots(1, 3), labels.items(), strict=True):
        width = 0.8 / len(commands)
        for index, command in enumerate(commands):
            groups = [[e for e in episodes if e.trial.terrain == t and e.trial.command == command] for t in terrains]
            places = [i + (index - (len(commands) - 1) / 2) * width for i in range(len(terrains))]
            # Where there is nothing to follow, there is no bar.
            heights = [(totals(group)[key] or 0.0) if group else 0.0 for group in groups]
            axes.bar(places, heights, width, label=" ".join(f"{number:g}" for number in command) or "no command")
        axes.set_xticks(range(len(terrains)), terrains, rotation=20)
        axes.set_ylabel(label)
    handles, commanded = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, commanded, title="command", loc="outside right upper")
    figure.savefig(path, dpi=_DPI)


def plot_falls(path: Path, episodes: Sequence[Episode]) -> None:
    """Plot the number of falls on every kind of ground, by reason."""
    terrains = _unique(e.trial.terrain for e in episodes)
    falls = Counter((e.trial.terrain, e.reason) for e in episodes if e.fell)
    figure = Figure(figsize=(2.5 + _INCHES_PER_GROUP * len(terrains), 3.5), layout="constrained")
    axes = figure.subplots()
    bottom = [0] * len(terrains)
    for reason in _unique(reason for _, reason in falls):
        heights = [falls[terrain, reason] for terrain in terrains]
        axes.bar(terrains, heights, bottom=bottom, label=reason)
        bottom = [below + height for below, height in zip(bottom, heights, strict=True)]
    axes.set_ylabel("episodes")
    axes.set_title("reasons for falls" if falls else "no falls")
    if falls:
        figure.legend(loc="outside right upper")
    figure.savefig(path, dpi=_DPI)


def _unique[T](values: Iterable[T]) -> list[T]:
    """Remove repeats, keeping the order of first appearance."""
    return list(dict.fromkeys(values))


def _success(episodes: Sequence[Episode], terrain: str, level: int) -> float:
    """Return the success rate on one kind and level; NaN, which has no colour, if nothing was measured."""
    members = [e for e in episodes if (e.trial.terrain, e.trial.level) == (terrain, level)]
    return totals(members)["success_rate"] if members else float("nan")
