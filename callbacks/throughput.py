"""Measures how long the parts of an iteration take."""

from __future__ import annotations

import time
from typing import Any

import lightning as L
import torch

from rlmpc.learners.report import Report, ReportCallback


class Moment:
    """A moment at which a device has done all that it was given so far; making one does not wait for it.

    Args:
        device: the CPU does its work at once, so there it is the moment at which this is made.
    """

    def __init__(self, device: torch.device) -> None:
        self._event = None
        if device.type == "cuda":
            self._event = torch.cuda.Event(enable_timing=True)
            self._event.record(torch.cuda.current_stream(device))
        self._time_s = time.perf_counter()

    def seconds_until(self, later: Moment) -> float:
        """Return the time between two moments; waits for the later one."""
        if self._event is not None and later._event is not None:
            later._event.synchronize()
            return self._event.elapsed_time(later._event) / 1000.0
        return later._time_s - self._time_s


class Throughput(ReportCallback):
    """Adds `perf/collect_s`, `perf/learn_s` and `perf/steps_per_s` (environment steps of all ranks) to the numbers.

    Args:
        steps_per_iteration: environment steps that one rank collects in an iteration.
    """

    def __init__(self, steps_per_iteration: int) -> None:
        self.steps_per_iteration = steps_per_iteration
        self._moments: list[Moment] = []
        self._last: list[Moment] = []

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the time of the rollout, which comes next."""
        self._moments = [Moment(pl_module.device)]

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """End the time of the rollout, which is complete."""
        self._moments.append(Moment(pl_module.device))

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """End the time of the update."""
        self._last = [*self._moments, Moment(pl_module.device)]

    def on_report(self, trainer: L.Trainer, report: Report) -> None:
        """Add times and speed."""
        start, learn_start, end = self._last
        numbers, whole_s = report.numbers, start.seconds_until(end)
        numbers["perf/collect_s"] = start.seconds_until(learn_start)
        numbers["perf/learn_s"] = learn_start.seconds_until(end)
        numbers["perf/steps_per_s"] = self.steps_per_iteration * trainer.world_size / whole_s
        # So that the mean over iterations is all their steps over all their time.
        report.weights["perf/steps_per_s"] = whole_s
