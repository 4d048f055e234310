"""When checkpoints are written, and what they say about the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint

from rlmpc.checkpoint import SECTION, describe_run
from rlmpc.learners.base import OnPolicyLearner


class IterationCheckpoint(ModelCheckpoint):
    """Saves `epoch=<index>.ckpt` every N iterations and after the last one, and links `last.ckpt` to the newest.

    Args:
        folder: where the files go.
        every: iterations between checkpoints.
        keep_last: how many of the newest to keep; None keeps all.
        config: the run's composed config, which every checkpoint carries.
    """

    def __init__(self, folder: Path, every: int, keep_last: int | None, config: dict[str, Any]) -> None:
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
        self._config = config

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save if it is due, or if no further iteration follows."""
        super().on_train_epoch_end(trainer, pl_module)
        is_last = trainer.current_epoch + 1 == trainer.max_epochs or trainer.should_stop
        if is_last and not self._should_skip_saving_checkpoint(trainer):
            candidates = self._monitor_candidates(trainer)
            self._save_topk_checkpoint(trainer, candidates)
            self._save_last_checkpoint(trainer, candidates)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: OnPolicyLearner, checkpoint: dict[str, Any]) -> None:
        """Add the run's config and the numbers of the last iteration."""
        checkpoint[SECTION] = describe_run(self._config, pl_module.report)
