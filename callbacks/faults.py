"""Writes files from which a fault of the environments can be replayed."""

from __future__ import annotations

import io
import logging
import re
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from rlmpc.checkpoint.fault_file import describe_fault
from rlmpc.checkpoint.write import write_whole
from rlmpc.errors import RunError
from rlmpc.learners.base import OnPolicyLearner
from rlmpc.rollout.faults import FaultRecorder

logger = logging.getLogger(__name__)


class FaultDump(Callback):
    """Writes `<folder>/iteration=<number>.pt` after an iteration with samples that were left out.

    Each of several processes writes what happened to its own environments. If a file cannot be written, a warning says
    so and training goes on.

    Args:
        recorder: of this process's collector.
        folder: where the files go.
        max_dumps: largest number of files of this process, those written before a resume included.
        run: what a `FaultFile` says about the run: `config`, `num_envs`, `device` and `seed`.
    """

    def __init__(self, recorder: FaultRecorder, folder: Path, max_dumps: int, run: dict[str, Any]) -> None:
        self.recorder = recorder
        self.folder = folder
        self.max_dumps = max_dumps
        self.run = run

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Write where the first process does; it alone has made the run's folder."""
        self.folder = trainer.strategy.broadcast(self.folder)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: OnPolicyLearner, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write the file if there was a fault (the numbers cover all processes) in this process's environments."""
        if pl_module.numbers["fault/samples"] == 0.0 or not self.recorder.has_fault():
            return
        process = f",rank={trainer.global_rank}" if trainer.world_size > 1 else ""
        own = re.compile(rf"iteration=\d+{process}\.pt")
        if sum(own.fullmatch(path.name) is not None for path in self.folder.glob("*.pt")) >= self.max_dumps:
            return
        iteration = trainer.current_epoch + 1
        path = self.folder / f"iteration={iteration}{process}.pt"
        buffer = io.BytesIO()
        torch.save(describe_fault(iteration=iteration, **self.run, **self.recorder.recording()), buffer)
        try:
            write_whole(path, buffer.getvalue())
        except RunError as error:
            logger.warning("the fault of iteration %d cannot be replayed: %s", iteration, error)
        else:
            logger.warning("iteration %d had a fault; play.py replay=%s goes through it again", iteration, path)
