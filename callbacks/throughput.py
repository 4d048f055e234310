"""Measures how long the parts of an iteration take."""

from __future__ import annotations

import time
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from rlmpc.learners.base import OnPolicyLearner


class Throughput(Callback):
    """Adds `perf/collect_s`, `perf/learn_s` and `perf/steps_per_s` (environment steps of all ranks) to the numbers.

    Args:
        steps_per_iteration: environment steps that one rank collects in an iteration.
    """

    def __init__(self, steps_per_iteration: int) -> None:
        self.steps_per_iteration = steps_per_iteration
        self._epoch_start = 0.0
        self._learn_start = 0.0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the time of the rollout, which comes next."""
        self._epoch_start = time.perf_counter()

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """End the time of the rollout, which is complete."""
        self._learn_start = time.perf_counter()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: OnPolicyLearner, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add times and speed. The host has read the numbers of the update, so the device has finished it."""
        now = time.perf_counter()
        steps = self.steps_per_iteration * trainer.world_size
        pl_module.numbers["perf/collect_s"] = self._learn_start - self._epoch_start
        pl_module.numbers["perf/learn_s"] = now - self._learn_start
        pl_module.numbers["perf/steps_per_s"] = steps / (now - self._epoch_start)
        # So that the mean over iterations is all their steps over all their time.
        pl_module.weights["perf/steps_per_s"] = now - self._epoch_start
