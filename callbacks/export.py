"""Writes deployment files next to the checkpoints."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from callbacks.due import is_due
from rlmpc.errors import UserError
from rlmpc.export.record import NUM_OBSERVATIONS
from rlmpc.export.write import export_policy
from rlmpc.learners.base import OnPolicyLearner
from rlmpc.networks.policy import GaussianPolicy
from rlmpc.rollout.rollout import Rollout

logger = logging.getLogger(__name__)


class ExportPolicy(Callback):
    """Exports the policy to `<folder>/epoch=<index>/` every N iterations and after the last one.

    Every export is compared with the policy on observations of the last rollout. If one fails, a warning says so and
    training goes on.

    Args:
        folder: where the folders go.
        every: iterations between exports.
        description: arguments of `rlmpc.export.metadata.metadata` except `iteration` and `checkpoint_sha256`.
    """

    def __init__(self, folder: Path, every: int, description: Mapping[str, Any]) -> None:
        self.folder = folder
        self.every = every
        self.description = description
        self._obs: dict[str, Tensor] = {}

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Rollout, batch_idx: int
    ) -> None:
        """Keep the rollout's observations, groups (T, N, D_g)."""
        self._obs = batch.obs

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: OnPolicyLearner) -> None:
        """Export if it is due, or if no other iteration follows."""
        done = trainer.current_epoch + 1
        if not trainer.is_global_zero or not is_due(trainer, self.every, done):
            return
        policy = pl_module.policy
        assert isinstance(policy, GaussianPolicy)
        # The checkpoint of this iteration is written after all other callbacks have run, so its hash is not known yet.
        description = {**self.description, "iteration": done, "checkpoint_sha256": None}
        try:
            export_policy(policy, self.folder / f"epoch={done - 1}", description, self._observations())
        except UserError as error:
            logger.warning("no export of iteration %d: %s", done, error)

    def _observations(self) -> list[dict[str, Tensor]]:
        """Return all steps of the last rollout, from as many environments as are needed."""
        num_steps = next(iter(self._obs.values())).shape[0]
        rows = max(1, NUM_OBSERVATIONS // num_steps)
        return [{group: values[t, :rows] for group, values in self._obs.items()} for t in range(num_steps)]
