"""Warns when the simulation dropped contacts or constraints."""

from __future__ import annotations

import logging

import lightning as L
from lightning.pytorch.callbacks import Callback

from rlmpc.envs.overflows import overflow_warnings
from rlmpc.learners.base import OnPolicyLearner

logger = logging.getLogger(__name__)


class SolverOverflows(Callback):
    """Warns of every limit of the solver once, after the first iteration in which it was exceeded.

    The metrics `sim/contacts_overflows` and `sim/constraints_overflows` go on counting.
    """

    def __init__(self) -> None:
        self._warned: set[str] = set()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: OnPolicyLearner) -> None:
        """Warn if a limit was exceeded for the first time."""
        if not trainer.is_global_zero:
            return
        warnings = overflow_warnings(pl_module.numbers)
        for name in warnings.keys() - self._warned:
            logger.warning("iteration %d: %s", trainer.current_epoch + 1, warnings[name])
        self._warned |= warnings.keys()
