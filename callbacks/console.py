"""The table shown during training."""

from __future__ import annotations

import time
from datetime import timedelta

import lightning as L
from rich.console import Console

from callbacks.due import is_due
from rlmpc.learners.report import Report, ReportCallback

COLUMNS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("return", ("episode/return",), "8.2f"),
    ("length", ("episode/length",), "7.0f"),
    ("falls/min", ("episode/falls_per_minute",), "9.2f"),
    ("v error", ("command/error_vel_xy", "command/target_error"), "8.3f"),
    ("level", ("curriculum/terrain_levels/mean", "curriculum/level"), "6.2f"),
    ("imitation", ("loss/imitation",), "9.4f"),
    ("KL", ("train/kl",), "7.4f"),
    ("lr", ("train/learning_rate",), "8.1e"),
    ("noise", ("train/noise_std",), "6.2f"),
)
"""Title, names of numbers in order of preference and format of each column after the first three."""

LEARNING = ("train/", "loss/")
"""Prefixes of numbers that a learner has in every iteration or never."""

ROWS_PER_HEADER = 20


class ConsoleTable(ReportCallback):
    """Prints a row every `every` iterations and repeats the header now and then.

    A row shows means over all that was observed since the last row; a `-` means that nothing was. Every iteration with
    faults gets its own line.

    Args:
        every: iterations between rows; the last iteration always gets one.
        console: where to print.
    """

    def __init__(self, every: int, console: Console) -> None:
        self.every = every
        self.console = console
        self._start = 0.0
        self._first_iteration = 0
        self._num_rows = 0
        self._totals: dict[str, float] = {}
        self._weights: dict[str, float] = {}
        self._columns = list(COLUMNS)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock for the remaining time."""
        self._start = time.monotonic()
        self._first_iteration = trainer.current_epoch

    def on_report(self, trainer: L.Trainer, report: Report) -> None:
        """Print faults, and a row if it is due."""
        if not trainer.is_global_zero:
            return
        self._add(report.numbers, report.weights)
        done = report.iteration + 1
        self._print_faults(done, report.numbers)
        if not is_due(trainer, self.every, done):
            return
        if self._num_rows == 0:
            self._columns = [column for column in COLUMNS if self._is_shown(column[1])]
        if self._num_rows % ROWS_PER_HEADER == 0:
            self._print(self._header())
        self._print(self._row(done, trainer.max_epochs or done))
        self._num_rows += 1
        self._totals.clear()
        self._weights.clear()

    def _add(self, numbers: dict[str, float], weights: dict[str, float]) -> None:
        """Add an iteration's numbers; one without a weight counts once an iteration."""
        for name, number in numbers.items():
            weight = weights.get(name, 1.0)
            self._totals[name] = self._totals.get(name, 0.0) + number * weight
            self._weights[name] = self._weights.get(name, 0.0) + weight

    def _mean(self, keys: tuple[str, ...]) -> float | None:
        """Return the mean of the first of these numbers that was observed since the last row."""
        return next((self._totals[key] / self._weights[key] for key in keys if self._weights.get(key)), None)

    def _print_faults(self, done: int, numbers: dict[str, float]) -> None:
        restarted, skipped = numbers.get("fault/envs", 0.0), numbers.get("fault/skipped_updates", 0.0)
        if restarted > 0.0 or skipped > 0.0:
            self._print(f"iteration {done}: {restarted:.2%} of environments restarted, {skipped:.0f} updates skipped")

    def _is_shown(self, keys: tuple[str, ...]) -> bool:
        """Return whether these numbers come from this learner or from the environment, which may give them later."""
        return any(key in self._weights or not key.startswith(LEARNING) for key in keys)

    def _header(self) -> str:
        titles = [f"{'iteration':>13}", f"{'steps/s':>8}", f"{'ETA':>9}"]
        return " ".join(titles + [f"{title:>{_width(spec)}}" for title, _, spec in self._columns])

    def _row(self, done: int, total: int) -> str:
        per_iteration = (time.monotonic() - self._start) / (done - self._first_iteration)
        remaining = timedelta(seconds=round(per_iteration * (total - done)))
        cells = [f"{done:>6}/{total:<6}", f"{self._mean(('perf/steps_per_s',)) or 0.0:8.0f}", f"{remaining!s:>9}"]
        for _, keys, spec in self._columns:
            value = self._mean(keys)
            cells.append(f"{'-':>{_width(spec)}}" if value is None else format(value, spec))
        return " ".join(cells)

    def _print(self, line: str) -> None:
        self.console.print(line)


def _width(spec: str) -> int:
    return int(spec.split(".")[0])
