"""Warns when the simulation dropped contacts or constraints."""

from __future__ import annotations

import logging

import lightning as L

from rlmpc.envs.overflows import overflow_warnings
from rlmpc.learners.report import Report, ReportCallback

logger = logging.getLogger(__name__)

GROWTH = 1.1
"""A demand this many times that of the last warning is worth another one."""


class SolverOverflows(ReportCallback):
    """Warns of every limit of the simulation that was exceeded, and again if much more is needed.

    The metrics `sim/contacts_overflows` and `sim/constraints_overflows` go on counting.
    """

    def __init__(self) -> None:
        self._said: dict[str, float] = {}

    def on_report(self, trainer: L.Trainer, report: Report) -> None:
        """Warn if a limit was exceeded for the first time, or if the demand has grown by a tenth since the warning."""
        if not trainer.is_global_zero:
            return
        for name, warning in overflow_warnings(report.numbers).items():
            peak = report.numbers[f"sim/{name}_peak"]
            if peak > GROWTH * self._said.get(name, 0.0):
                logger.warning("iteration %d: %s", report.iteration + 1, warning)
                self._said[name] = peak
