"""Turns the movement of robots, step by step, into the numbers of their episodes; the same for every simulator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rlmpc.contract.episode import GOES_ON, Episode, Motion, Trial


class Tally:
    """Sums over one episode of each of N robots, in arrays of NumPy or torch; nothing waits for a device.

    Args:
        xp: the library of the arrays, `numpy` or `torch`.
        num: N.
        placed: further arguments of `xp.zeros`, such as the device.
    """

    def __init__(self, xp: Any, num: int, **placed: Any) -> None:
        self._xp = xp
        self._sums = xp.zeros((num, 9), **placed)
        self._start = xp.zeros((num, 2), **placed)
        self._drift = xp.zeros(num, **placed)

    def add(self, motion: Motion[Any], counts: Any) -> None:
        """Add a step.

        Args:
            motion: how the robots move.
            counts: (N,) bool: the robots whose step is counted; the others' numbers are ignored, finite or not.
        """
        xp = self._xp
        error_xy = _length(motion.error)
        vx, vy, yaw_rate = (motion.velocity[:, axis] for axis in range(3))
        squared_errors = (error_xy**2, motion.error[:, 2] ** 2)
        is_first = counts & (self._sums[:, 0] == 0)
        self._start[:] = xp.where(is_first[:, None], motion.position, self._start)
        values = (xp.ones_like(vx), vx, vy, yaw_rate, _length(motion.velocity), error_xy, *squared_errors, motion.power)
        self._sums += xp.where(counts[:, None], xp.stack(values, 1), 0.0)
        distance = xp.where(counts, _length(motion.position - self._start), 0.0)
        xp.maximum(self._drift, distance, out=self._drift)

    def episodes(
        self, trials: Sequence[Trial], reasons: Sequence[str], fell: Sequence[bool], step_dt: float
    ) -> list[Episode]:
        """Make the episodes of the first robots.

        Args:
            trials: the trial of each.
            reasons: what ended each, or `GOES_ON`.
            fell: whether each fell.
            step_dt: length of a control step [s].
        """
        rows = zip(trials, reasons, fell, self._sums.tolist(), self._drift.tolist(), strict=False)
        return [
            _episode(trial, reason, bool(falls), sums, drift, step_dt) for trial, reason, falls, sums, drift in rows
        ]


def _length(vectors: Any) -> Any:
    """Return the lengths of vectors (N, 2 or more) in the horizontal plane, (N,)."""
    return (vectors[:, 0] ** 2 + vectors[:, 1] ** 2) ** 0.5


def _episode(trial: Trial, reason: str, fell: bool, sums: list[float], drift: float, step_dt: float) -> Episode:
    steps = sums[0]
    # Nothing was measured of an episode that ended in its first step: its means are 0.
    vx, vy, yaw_rate, speed, error_xy, squared_xy, squared_yaw, power = (total / max(steps, 1.0) for total in sums[1:])
    measured_s = steps * step_dt
    return Episode(
        trial=trial,
        reason=reason,
        fell=fell,
        # The step in which an episode ends is not measured: some simulators are in the next episode after it.
        length_s=measured_s if reason == GOES_ON else measured_s + step_dt,
        distance_m=speed * measured_s,
        drift_m=drift,
        velocity=(vx, vy, yaw_rate),
        error_xy=error_xy,
        rmse_xy=math.sqrt(squared_xy),
        rmse_yaw=math.sqrt(squared_yaw),
        energy_j=power * measured_s,
    )
