"""When checkpoints are written, and what they say about the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint

from rlmpc.checkpoint.file import SECTION, describe_run, has_right_checksums
from rlmpc.checkpoint.find import checkpoints_by_age
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
            save_top_k=-1,
            save_last="link",
            every_n_epochs=every,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )
        self._folder = folder
        self._keep_last = keep_last
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
        checkpoint[SECTION] = describe_run(self._config, pl_module.numbers)

    def state_dict(self) -> dict[str, Any]:
        """Nothing: the folder itself tells which files there are, wherever it was moved to."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing."""

    def _save_checkpoint(self, trainer: L.Trainer, filepath: str) -> None:
        super()._save_checkpoint(trainer, filepath)
        # The others only once this one can be trusted.
        if self._keep_last is not None and trainer.is_global_zero and has_right_checksums(Path(filepath)):
            for path in checkpoints_by_age(self._folder)[self._keep_last :]:
                path.unlink()
