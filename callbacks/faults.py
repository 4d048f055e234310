"""What follows from numbers that are not finite: a file from which the fault is replayed and, if many, the end."""

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
from rlmpc.learners.report import Report, ReportCallback
from rlmpc.learners.skipped import WINDOW
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


class FaultLimits(ReportCallback):
    """Stops after an iteration with too many faults, before its checkpoint is written.

    It looks at numbers over all ranks, so that all of them stop. On a GPU the next rollout has begun by then.

    Args:
        max_env_share: share of environments with a fault in one iteration above which the run stops.
        max_skipped_updates: updates skipped in a row, because gradients were not finite, at which the run stops.
        max_skipped_share: share of the latest updates skipped for this reason above which the run stops.
    """

    def __init__(self, max_env_share: float, max_skipped_updates: int, max_skipped_share: float) -> None:
        self.max_env_share = max_env_share
        self.max_skipped_updates = max_skipped_updates
        self.max_skipped_share = max_skipped_share

    def on_report(self, trainer: L.Trainer, report: Report) -> None:
        """Compare the iteration's numbers with the limits.

        Raises:
            RunError: if a limit is reached.
        """
        env_share = report.numbers["fault/envs"]
        skipped = round(report.numbers["fault/skipped_in_a_row"])
        skipped_share = report.numbers["fault/skipped_share"]
        where = f"stopped after iteration {report.iteration + 1}, without saving it; the last checkpoint is kept"
        if env_share > self.max_env_share:
            raise RunError(
                f"{env_share:.1%} of the environments had numbers that are not finite, "
                f"and faults.max_env_share={self.max_env_share} allows {self.max_env_share:.1%}: {where}"
            )
        if skipped >= self.max_skipped_updates:
            raise RunError(
                f"{skipped} updates in a row were skipped for gradients that are not finite, "
                f"and faults.max_skipped_updates={self.max_skipped_updates} is reached: {where}"
            )
        if skipped_share > self.max_skipped_share:
            raise RunError(
                f"{skipped_share:.1%} of the last {WINDOW} updates were skipped for gradients that are not finite, "
                f"and faults.max_skipped_share={self.max_skipped_share} allows {self.max_skipped_share:.1%}: {where}"
            )
