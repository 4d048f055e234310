"""A run in Weights & Biases."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import wandb
from lightning.pytorch.loggers import WandbLogger

from rlmpc.errors import RunError
from rlmpc.run.tracking import CLOSED_WITHIN_S, PROJECT, Tracker, in_nobodys_way, keep_id, known_id, one_line

SERVICE = "wandb"


class WandbLog(WandbLogger, Tracker):
    """Lightning's logger, with the run's whole config; the run of a folder always has the same id.

    Made by the first process only.

    Args:
        folder: of the run; files of a run that is offline are in `wandb` there.
        name: of the run.
        config: of the run.

    Raises:
        RunError: if W&B does not take the run.
    """

    def __init__(self, folder: Path, name: str, config: Mapping[str, Any]) -> None:
        given = known_id(folder, SERVICE) or secrets.token_hex(4)
        project = os.environ.get("WANDB_PROJECT", PROJECT)
        # What is printed stands in `train.log`; W&B would put itself between the run and its terminal.
        settings = wandb.Settings(console="off", finish_timeout=CLOSED_WITHIN_S)
        super().__init__(name=name, save_dir=folder, id=given, project=project, config=dict(config), settings=settings)
        try:
            self._run = self.experiment
        # Not only its own errors: something else may listen where WANDB_SERVICE points.
        except Exception as error:
            raise RunError(f"W&B does not take the run: {one_line(error)}") from error
        keep_id(folder, SERVICE, given)

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Do nothing: the run has its config already."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log the numbers of iteration `step`."""
        with in_nobodys_way("W&B"):
            super().log_metrics(metrics, step)

    def add_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[str | float]], step: int) -> None:
        """Log a table."""
        with in_nobodys_way("W&B"):
            self.log_table(name, list(columns), [list(row) for row in rows], step=step)

    def add_video(self, name: str, path: Path, step: int) -> None:
        """Log an mp4 file."""
        with in_nobodys_way("W&B"):
            self.log_video(name, [str(path)], step=step)

    def add_checkpoint(self, path: Path, aliases: Sequence[str]) -> None:
        """Log an artifact, of which every checkpoint of the run is a version."""
        with in_nobodys_way("W&B"):
            artifact = wandb.Artifact(f"checkpoint-{self.version}", type="model", metadata={"file": path.name})
            artifact.add_file(str(path), name=path.name)
            self._run.log_artifact(artifact, aliases=list(aliases))

    def finalize(self, status: str) -> None:
        """End the run there, as soon as all has been sent; what takes too long is left to `wandb sync`."""
        with in_nobodys_way("W&B"):
            self._run.finish(exit_code=0 if status == "success" else 1)
