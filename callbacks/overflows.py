"""Warns when the simulation dropped contacts or constraints."""

from __future__ import annotations

import logging

import lightning as L

from rlmpc.envs.overflows import overflow_warnings
from rlmpc.learners.report import Report, ReportCallback

logger = logging.getLogger(__name__)


class SolverOverflows(ReportCallback):
    """Warns of every limit of the solver once, after the first iteration in which it was exceeded.

    The metrics `sim/contacts_overflows` and `sim/constraints_overflows` go on counting.
    """

    def __init__(self) -> None:
        self._warned: set[str] = set()

    def on_report(self, trainer: L.Trainer, report: Report) -> None:
        """Warn if a limit was exceeded for the first time."""
        if not trainer.is_global_zero:
            return
        warnings = overflow_warnings(report.numbers)
        for name in warnings.keys() - self._warned:
            logger.warning("iteration %d: %s", report.iteration + 1, warnings[name])
        self._warned |= warnings.keys()
