"""How well the loop keeps its time."""

from __future__ import annotations

import numpy as np

PERCENTILES = (50, 90, 99, 100)


class Timing:
    """Measures steps against their schedule.

    A step misses its deadline if its targets are written after the next step was due.

    Args:
        control_dt: seconds between two steps.
    """

    def __init__(self, control_dt: float) -> None:
        self._control_dt = control_dt
        self._lateness: list[float] = []
        self._work: list[float] = []
        self.num_missed = 0
        self.missed_in_a_row = 0

    def add(self, due: float, begun: float, done: float) -> None:
        """Count a step that was due, begun and done at these times [s]."""
        self._lateness.append(begun - due)
        self._work.append(done - begun)
        is_missed = done > due + self._control_dt
        self.num_missed += is_missed
        self.missed_in_a_row = self.missed_in_a_row + 1 if is_missed else 0

    def lines(self) -> list[str]:
        """Return what to print."""
        steps = len(self._lateness)
        return [
            f"{steps} steps of {1e3 * self._control_dt:g} ms; deadlines missed: {self.num_missed}",
            f"  a step began late by {_percentiles(self._lateness)}",
            f"  and took {_percentiles(self._work)}",
        ]


def _percentiles(seconds: list[float]) -> str:
    values = 1e3 * np.percentile(seconds or [0.0], PERCENTILES)
    names = [f"p{percent}" if percent < 100 else "at most" for percent in PERCENTILES]
    return ", ".join(f"{name} {value:.2f} ms" for name, value in zip(names, values, strict=True))
