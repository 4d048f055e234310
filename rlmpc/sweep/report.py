"""What a sweep has found: a plot, and the command of its best run."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any

import optuna
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from rlmpc.sweep.space import Range, Space

PLOT = "sweep.png"
_DPI = 150
Measured = tuple[FrozenTrial, float]


def counts(study: optuna.Study) -> str:
    """Return how many trials have ended in which way, as the beginning of a sentence."""
    words = {
        TrialState.COMPLETE: "complete",
        TrialState.PRUNED: "pruned",
        TrialState.FAIL: "failed",
        TrialState.RUNNING: "unfinished",
    }
    states = [trial.state for trial in study.get_trials(deepcopy=False)]
    return ", ".join(f"{states.count(state)} {word}" for state, word in words.items() if state in states)


def plot(path: Path, study: optuna.Study, space: Space, metric: str) -> None:
    """Plot the value of every trial in their order and over each setting, without a display."""
    figure = Figure(figsize=(3.2 * (1 + len(space)), 3.0), layout="constrained")
    first, *others = figure.subplots(1, 1 + len(space), sharey=True, squeeze=False)[0]
    complete, pruned = (_measured(study, state) for state in (TrialState.COMPLETE, TrialState.PRUNED))
    _points(first, complete, pruned, lambda trial: trial.number)
    better = max if study.direction == StudyDirection.MAXIMIZE else min
    best = [*accumulate((value for _, value in complete), better)]
    first.step([trial.number for trial, _ in complete], best, where="post", color="tab:orange", label="best so far")
    first.set_xlabel("trial")
    first.xaxis.get_major_locator().set_params(integer=True)
    first.set_ylabel(metric)
    for axes, (key, entry) in zip(others, space.items(), strict=True):
        _points(axes, complete, pruned, lambda trial, key=key: trial.params[key])
        axes.set_xlabel(key)
        if isinstance(entry, Range) and entry.is_log:
            axes.set_xscale("log")
    figure.legend(*first.get_legend_handles_labels(), loc="outside upper right", ncols=3)
    figure.savefig(path, dpi=_DPI)


def _measured(study: optuna.Study, state: TrialState) -> list[Measured]:
    """Return the trials that ended in a state, with their values."""
    trials = study.get_trials(deepcopy=False, states=(state,))
    return [(trial, trial.value) for trial in trials if trial.value is not None]


def _points(axes: Axes, complete: list[Measured], pruned: list[Measured], x: Callable[[FrozenTrial], Any]) -> None:
    for trials, marker, color, label in ((complete, "o", "tab:blue", "complete"), (pruned, "x", "tab:gray", "pruned")):
        if trials:
            values = [value for _, value in trials]
            axes.plot([x(trial) for trial, _ in trials], values, marker, color=color, label=label)
