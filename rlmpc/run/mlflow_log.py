"""A run in MLflow."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mlflow
from lightning.pytorch.loggers import MLFlowLogger
from mlflow.exceptions import MlflowException

from rlmpc.config.overrides import flatten
from rlmpc.errors import RunError
from rlmpc.run.tracking import (
    PROJECT,
    TRACKING_URI,
    Tracker,
    closed_in_time,
    in_nobodys_way,
    keep_id,
    known_id,
    tracking_uri,
)

SERVICE = "mlflow"
ARTIFACTS = ".mlflow"
"""Folder beside the database for artifacts. Where `latest` looks for runs, names with a dot are passed over."""


class MlflowLog(MLFlowLogger, Tracker):
    """Lightning's logger, with the run's whole config; the run of a folder always has the same id.

    Made by the first process only. Numbers are sent by a thread, so that a slow server does not hold up the run.

    Args:
        folder: of the run.
        name: of the run.
        config: of the run; its settings are parameters, which MLflow never changes, and `config.yaml` is an artifact.
        root: folder of all runs, for the database if the environment names no server.

    Raises:
        RunError: if MLflow does not take the run.
    """

    def __init__(self, folder: Path, name: str, config: Mapping[str, Any], root: Path) -> None:
        known = known_id(folder, SERVICE)
        is_local = not os.environ.get(TRACKING_URI)
        if is_local:
            root.mkdir(parents=True, exist_ok=True)
        try:
            super().__init__(
                experiment_name=os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT),
                run_name=name,
                tracking_uri=tracking_uri(root),
                artifact_location=(root / ARTIFACTS).absolute().as_uri() if is_local else None,
                run_id=known,
                synchronous=False,
            )
            self._client, self._id = self.experiment, str(self.run_id)
            if known is None:
                keep_id(folder, SERVICE, self._id)
                parameters = {re.sub(r"[^\w .:/-]", "_", key): value for key, value in flatten(config).items()}
                super().log_hyperparams(parameters)
            else:
                self._client.update_run(self._id, status="RUNNING")
            self._client.log_dict(self._id, dict(config), "config.yaml")
        except MlflowException as error:
            raise RunError(f"MLflow at '{tracking_uri(root)}' does not take the run: {error}") from error

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Do nothing: the run has its config already."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log the numbers of iteration `step`."""
        with in_nobodys_way("MLflow"):
            super().log_metrics(metrics, step)

    def add_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[str | float]], step: int) -> None:
        """Keep a table as a CSV file, which MLflow shows as a table."""
        text = io.StringIO(newline="")
        csv.writer(text).writerows([columns, *rows])
        with in_nobodys_way("MLflow"):
            self._client.log_text(self._id, text.getvalue(), f"{name}/iteration={step + 1}.csv")

    def add_video(self, name: str, path: Path, step: int) -> None:
        """Keep an mp4 file, which MLflow plays."""
        with in_nobodys_way("MLflow"):
            self._client.log_artifact(self._id, str(path), name)

    def add_checkpoint(self, path: Path, aliases: Sequence[str]) -> None:
        """Keep a checkpoint; a tag for each alias names it."""
        with in_nobodys_way("MLflow"):
            self._client.log_artifact(self._id, str(path), "checkpoints")
            for alias in aliases:
                self._client.set_tag(self._id, f"checkpoint.{alias}", path.name)

    def finalize(self, status: str = "success") -> None:
        """End the run there, as soon as all has been sent."""

        def close() -> None:
            mlflow.flush_async_logging()
            super(MlflowLog, self).finalize(status)

        closed_in_time("MLflow", close)
