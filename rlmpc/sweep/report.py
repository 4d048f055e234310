"""What a sweep has found: a plot, and the command of its best run."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import optuna
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from optuna.trial import FrozenTrial, TrialState

from rlmpc.sweep.space import Range, Space

PLOT = "sweep.png"
_DPI = 150


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
    trials = study.get_trials(deepcopy=False)
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    pruned = [trial for trial in trials if trial.state == TrialState.PRUNED and trial.value is not None]
    figure = Figure(figsize=(3.2 * (1 + len(space)), 3.0), layout="constrained")
    first, *others = figure.subplots(1, 1 + len(space), sharey=True, squeeze=False)[0]
    numbers = [trial.number for trial in complete]
    _points(first, numbers, complete, [trial.number for trial in pruned], pruned)
    better = max if study.direction == optuna.study.StudyDirection.MAXIMIZE else min
    best = [*accumulate((trial.value for trial in complete if trial.value is not None), better)]
    first.step(numbers, best, where="post", color="tab:orange", label="best so far")
    first.set_xlabel("trial")
    first.set_ylabel(metric)
    for axes, (key, entry) in zip(others, space.items(), strict=True):
        _points(axes, *(x for group in (complete, pruned) for x in ([trial.params[key] for trial in group], group)))
        axes.set_xlabel(key)
        if isinstance(entry, Range) and entry.is_log:
            axes.set_xscale("log")
    figure.legend(*first.get_legend_handles_labels(), loc="outside upper right", ncols=3)
    figure.savefig(path, dpi=_DPI)


def _points(
    axes: Axes, x: Sequence[object], complete: Sequence[FrozenTrial], x_pruned: Sequence[object],
    pruned: Sequence[FrozenTrial],
) -> None:  # fmt: skip
    axes.plot(x, [trial.value for trial in complete], "o", color="tab:blue", label="complete")
    if pruned:
        axes.plot(x_pruned, [trial.value for trial in pruned], "x", color="tab:gray", label="pruned")
