"""When checkpoints are written, and what is added to them."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint

from callbacks.due import is_due
from rlmpc.checkpoint.file import SECTION, describe_run
from rlmpc.checkpoint.find import best_evaluated, checkpoints_by_age
from rlmpc.checkpoint.plain import has_right_checksums
from rlmpc.checkpoint.summary import SUCCESS
from rlmpc.checkpoint.write import link, warn_once
from rlmpc.learners.base import OnPolicyLearner


class IterationCheckpoint(Checkpoint):
    """Saves `epoch=<index>.ckpt` every N iterations and after the last one, and links `last.ckpt` to the newest.

    It also saves after an evaluation with a better success than all before, and keeps that checkpoint.

    Lightning calls a `Checkpoint` after all other callbacks and the learner.

    Args:
        folder: where the files go.
        every: iterations between checkpoints.
        keep_last: how many of the newest to keep; None keeps all.
        config: the run's composed config, stored in every checkpoint.
        evaluated_every: iterations between the results of an evaluation; None if there is none.
    """

    def __init__(
        self,
        folder: Path,
        every: int,
        keep_last: int | None,
        config: dict[str, Any],
        evaluated_every: int | None = None,
    ) -> None:
        self._folder = folder
        self._every = every
        self._keep_last = keep_last
        self._config = config
        self._evaluated_every = evaluated_every
        self._best = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return the best success so far, by which every process decides alike."""
        return {"best": self._best} if self._best else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the best success that `state_dict` returned."""
        self._best = state_dict.get("best", 0.0)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: OnPolicyLearner) -> None:
        """Save if it is due, or if no other iteration follows."""
        done = trainer.current_epoch + 1
        is_evaluated = self._evaluated_every is not None and done % self._evaluated_every == 0
        is_saved = is_due(trainer, self._every, done)
        if not is_saved and not is_evaluated:
            return
        # First, so that limits can stop the run before it is saved.
        pl_module.deliver()
        success = pl_module.numbers.get(SUCCESS, 0.0)
        if not is_saved and success <= self._best:
            return
        self._best = max(self._best, success)
        path = self._folder / f"epoch={trainer.current_epoch}.ckpt"
        # Called on every rank: each contributes its part and waits for the file.
        trainer.save_checkpoint(path, weights_only=False)
        if trainer.is_global_zero:
            link(self._folder / "last.ckpt", path)
            self._remove_old(path)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: OnPolicyLearner, checkpoint: dict[str, Any]) -> None:
        """Add the run's config and the numbers of the last iteration."""
        checkpoint[SECTION] = describe_run(self._config, pl_module.numbers)

    def _remove_old(self, newest: Path) -> None:
        """Remove all but the last few and the best, if the newest is intact; warn of what cannot be removed."""
        if self._keep_last is None:
            return
        try:
            is_intact = has_right_checksums(newest)
        except zipfile.BadZipFile:
            is_intact = False
        if not is_intact:
            warn_once(f"'{newest}' is damaged on its disk; older checkpoints are kept")
            return
        old = checkpoints_by_age(self._folder)[self._keep_last :]
        best = best_evaluated(self._folder) if old and self._evaluated_every is not None else None
        for path in (path for path in old if path != best):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                warn_once(f"an old checkpoint in '{self._folder}' cannot be removed ({error.strerror}); it stays")
