"""Summarises episodes: one row for every combination of ground, level and command, and the totals."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from rlmpc.contract.episode import FOLLOWED, STAY_RADIUS_M, Episode, Trial
from rlmpc.errors import UserError, nearest

METRICS = {
    "success_rate": f"share of the episodes without a fall in which the command was followed by {FOLLOWED:.0%} or more "
    f"and, if it is to turn or to stand, the robot stayed within {STAY_RADIUS_M} m",
    "falls_per_minute": "falls per minute of the robots' time",
    "followed": "mean velocity along the command by the commanded speed (yaw rates, if it is to turn on the spot)",
    "error_xy": "mean velocity error in the plane, over all steps [m/s]",
    "rmse_xy": "root mean square of the velocity error in the plane, over all steps [m/s]",
    "rmse_yaw": "root mean square of the yaw rate's error, over all steps [rad/s]",
    "distance_m": "mean length of the path in the plane [m]",
    "energy_j_per_m": "mechanical energy of the joints, |torque x velocity| over all physics steps, by path [J/m]",
    "length_s": "mean length of an episode [s]",
}
"""What is measured, with units; `rlmpc.contract.episode.succeeds` says exactly what a success is."""

MIN_DISTANCE_M = 0.1
"""Mean path below which energy per metre is meaningless."""


def check_metrics(names: Iterable[str]) -> None:
    """Refuse a metric that is not measured.

    Raises:
        UserError: for an unknown metric, with the nearest known one.
    """
    for name in names:
        if name not in METRICS:
            raise UserError(f"there is no metric '{name}'; known: {', '.join(METRICS)}{nearest(name, METRICS)}")


def summarise(episodes: Sequence[Episode]) -> list[dict[str, Any]]:
    """Summarise every combination of ground, level and command in a row, in the order of first appearance.

    Returns:
        Rows, each with `terrain`, `level`, `command` and what `totals` gives for its episodes.
    """
    groups: dict[Trial, list[Episode]] = {}
    for episode in episodes:
        groups.setdefault(episode.trial, []).append(episode)
    return [
        {"terrain": trial.terrain, "level": trial.level, "command": list(trial.command), **totals(members)}
        for trial, members in groups.items()
    ]


def totals(episodes: Sequence[Episode]) -> dict[str, Any]:
    """Summarise all `episodes` (at least one): their number, their `METRICS`, and counts by reason for the end.

    Means are over time: an episode counts by its length. `followed` is None if no episode has a command to follow, and
    `energy_j_per_m` if the mean distance is less than `MIN_DISTANCE_M`.
    """
    count = len(episodes)
    time_s, distance_m = sum(e.length_s for e in episodes), sum(e.distance_m for e in episodes)
    followed = [(e.followed, e.length_s) for e in episodes if e.followed is not None]
    moves = distance_m >= MIN_DISTANCE_M * count
    return {
        "episodes": count,
        "success_rate": sum(e.success for e in episodes) / count,
        "falls_per_minute": 60.0 * sum(e.fell for e in episodes) / time_s,
        "followed": _mean(followed) if followed else None,
        "error_xy": _mean((e.error_xy, e.length_s) for e in episodes),
        "rmse_xy": math.sqrt(_mean((e.rmse_xy**2, e.length_s) for e in episodes)),
        "rmse_yaw": math.sqrt(_mean((e.rmse_yaw**2, e.length_s) for e in episodes)),
        "distance_m": distance_m / count,
        "energy_j_per_m": sum(e.energy_j for e in episodes) / distance_m if moves else None,
        "length_s": time_s / count,
        "reasons": dict(Counter(e.reason for e in episodes).most_common()),
    }


def _mean(weighted: Iterable[tuple[float, float]]) -> float:
    """Return the mean of (value, weight) pairs."""
    values, weights = zip(*weighted, strict=True)
    return math.sumprod(values, weights) / math.fsum(weights)
