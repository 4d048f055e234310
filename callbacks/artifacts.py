"""Hands checkpoints to the loggers that keep files."""

from __future__ import annotations

from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import Checkpoint

from rlmpc.checkpoint.find import best_evaluated, checkpoints_by_age
from rlmpc.run.tracking import Tracker


class UploadedCheckpoints(Checkpoint):
    """Hands over every checkpoint as soon as it is written, or the last and the best one when training ends.

    After a signal nothing is handed over, for that may take longer than the run has; the one that goes on will do it.

    Being a `Checkpoint`, it is called after what writes them.

    Args:
        folder: of the checkpoints.
        is_every: whether every one is handed over.
    """

    def __init__(self, folder: Path, is_every: bool) -> None:
        self._folder = folder
        self._is_every = is_every
        self._newest: Path | None = None

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Hand over a checkpoint that is new."""
        newest = next(iter(checkpoints_by_age(self._folder)), None)
        if newest is None or newest == self._newest or not self._is_every or not self._has_time(trainer):
            return
        self._newest = newest
        self._upload(trainer, newest, ["last"])

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Hand over the last one and the best, unless that has been done."""
        if not self._has_time(trainer):
            return
        best, newest = best_evaluated(self._folder), next(iter(checkpoints_by_age(self._folder)), None)
        names: dict[Path, list[str]] = {}
        for path, name in ((best, "best"), (newest, "last")):
            if path is not None:
                names.setdefault(path, []).append(name)
        for path, aliases in names.items():
            if not self._is_every or "best" in aliases:
                self._upload(trainer, path, aliases)

    def _has_time(self, trainer: L.Trainer) -> bool:
        return trainer.is_global_zero and not trainer.should_stop

    def _upload(self, trainer: L.Trainer, path: Path, aliases: list[str]) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, Tracker):
                logger.add_checkpoint(path, aliases)
