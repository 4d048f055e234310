"""Says when learning stalls, and why, by plain rules on the logged numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import lightning as L
from rich.console import Console

from callbacks.means import Means
from rlmpc.learners.report import Report, ReportCallback

LEVELS = "curriculum/terrain_levels"
"""Prefix of what the curriculum of terrain reports; see `rlmpc.tasks.mdp.TerrainLevels`."""
RANGES = "curriculum/command_ranges"
"""Prefix of the upper ends of the ranges from which commands are drawn."""
PROMOTIONS = ("arrived", "lasted")
"""Outcomes of an episode that lead to a harder level."""

FEW = 0.01
"""Share of the robots below which promotions are accidents."""
MANY = 0.5
"""Share of the episodes or robots above which something explains why there are no promotions."""


@dataclass(frozen=True)
class Known:
    """What the rules need to know of a run besides its numbers."""

    episode_length_s: float
    """Of the longest episode."""
    step_dt: float
    """Length of a step in seconds."""
    promoting_speed: float | None = None
    """Commanded speed in the plane [m/s] up to which no robot is promoted; None if unknown."""
    min_lr: float | None = None
    """Lower bound of the learning rate; None if it has none."""


Rule = Callable[[Mapping[str, float], Known], str | None]
"""Takes means over some iterations; returns why learning stalls, or None if the rule does not explain it."""


class Stalls(ReportCallback):
    """Prints a line after every `after` iterations in which no robot was promoted, or the learning rate was lowest.

    Args:
        after: iterations over which numbers are averaged.
        known: what the rules need to know of the run.
        console: where to print.
    """

    def __init__(self, after: int, known: Known, console: Console) -> None:
        self.after = after
        self.known = known
        self.console = console
        self._means = Means()
        self._num_iterations = 0

    def on_report(self, trainer: L.Trainer, report: Report) -> None:
        """Add the iteration and, after enough of them, look for a stall."""
        if not trainer.is_global_zero:
            return
        self._means.add(report.numbers, report.weights)
        self._num_iterations += 1
        if self._num_iterations < self.after:
            return
        reasons = [stall(self._means.named(), self.known) for stall in (no_promotion, lowest_learning_rate)]
        for reason in (reason for reason in reasons if reason is not None):
            self.console.print(f"iteration {report.iteration + 1}: for {self.after} iterations, {reason}")
        self._means.clear()
        self._num_iterations = 0


def no_promotion(numbers: Mapping[str, float], known: Known) -> str | None:
    """Tell that no robot was promoted to a harder level, and why by the first rule that explains it."""
    outcomes = [numbers[name] for outcome in PROMOTIONS if (name := f"{LEVELS}/{outcome}") in numbers]
    if not outcomes or sum(outcomes) >= FEW:
        return None
    why = next((why for rule in WHY if (why := rule(numbers, known)) is not None), "nothing explains it")
    return f"hardly any robot was promoted: {why}"


def lowest_learning_rate(numbers: Mapping[str, float], known: Known) -> str | None:
    """Tell that the learning rate stayed at its lower bound, where the policy hardly changes."""
    rate = numbers.get("train/learning_rate")
    if rate is None or known.min_lr is None or rate > 1.01 * known.min_lr:
        return None
    return (
        f"the learning rate was at its lower bound agent.min_lr={known.min_lr:g}: the policy changes by more than "
        f"agent.desired_kl allows (KL {numbers.get('train/kl', math.nan):.3f})"
    )


def slow_commands(numbers: Mapping[str, float], known: Known) -> str | None:
    """Explain it by commands that are all too slow."""
    ends = [numbers.get(f"{RANGES}/{axis}") for axis in ("lin_vel_x", "lin_vel_y")]
    if known.promoting_speed is None or ends[0] is None or ends[1] is None:
        return None
    fastest = math.hypot(ends[0], ends[1])
    if fastest > known.promoting_speed:
        return None
    return (
        f"every command is below the speed that promotes (at most {fastest:.2f} m/s, and only more than "
        f"{known.promoting_speed:.2f} m/s promote)"
    )


def falls(numbers: Mapping[str, float], known: Known) -> str | None:
    """Explain it by episodes that end in a fall."""
    share = numbers.get("episode/fall_rate", 0.0)
    if share < MANY:
        return None
    length_s = numbers.get("episode/length", math.nan) * known.step_dt
    return f"{share:.0%} of the episodes end in a fall, after {length_s:.1f} s of {known.episode_length_s:.0f} s"


def standing(numbers: Mapping[str, float], known: Known) -> str | None:
    """Explain it by robots that do not walk where they are told to."""
    share = numbers.get(f"{LEVELS}/stood", 0.0)
    return None if share < MANY else f"{share:.0%} of the robots walk too little of the commanded distance"


def ends(numbers: Mapping[str, float], known: Known) -> str | None:
    """Name what ends most episodes."""
    shares = {name.split("/")[1]: value for name, value in numbers.items() if name.startswith("termination/")}
    if not shares:
        return None
    most = max(shares, key=lambda name: shares[name])
    return f"{shares[most]:.0%} of the episodes end by {most}, without having followed the command far enough"


WHY: tuple[Rule, ...] = (slow_commands, falls, standing, ends)
"""Explanations in the order in which they are tried."""
