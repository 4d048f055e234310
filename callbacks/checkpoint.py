"""When checkpoints are written."""

from __future__ import annotations

from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint


class IterationCheckpoint(ModelCheckpoint):
    """Saves `epoch=<index>.ckpt` every N iterations and after the last one, and links `last.ckpt` to the newest.

    Args:
        folder: where the files go.
        every: iterations between checkpoints.
        keep_last: how many of the newest to keep; None keeps all.
    """

    def __init__(self, folder: Path, every: int, keep_last: int | None) -> None:
        super().__init__(
            dirpath=folder,
            filename="{epoch}",
            monitor="epoch",
            mode="max",
            save_top_k=-1 if keep_last is None else keep_last,
            save_last="link",
            every_n_epochs=every,
            save_on_train_epoch_end=True,
        )

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save if it is due, or if no further iteration follows."""
        super().on_train_epoch_end(trainer, pl_module)
        is_last = trainer.current_epoch + 1 == trainer.max_epochs or trainer.should_stop
        if is_last and not self._should_skip_saving_checkpoint(trainer):
            candidates = self._monitor_candidates(trainer)
            self._save_topk_checkpoint(trainer, candidates)
            self._save_last_checkpoint(trainer, candidates)
