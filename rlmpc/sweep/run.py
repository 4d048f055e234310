"""The run of a trial: an ordinary one, in a process of its own."""

from __future__ import annotations

import ctypes
import math
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rlmpc.checkpoint.find import CHECKPOINTS, checkpoints_by_age
from rlmpc.command_line.files import CONF_DIR
from rlmpc.command_line.resume import FinishedError
from rlmpc.command_line.train import compose_train
from rlmpc.run.csv_rows import METRICS, read_rows
from rlmpc.run.processes import PR_SET_PDEATHSIG
from rlmpc.run.stopping import REQUEUE_SIGNAL, exit_code

TRAIN = CONF_DIR.parent / "train.py"
STOPPED = [exit_code(signum) for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, REQUEUE_SIGNAL)]
"""Exit codes of a run that was stopped and can go on."""


class TrialRun:
    """The run of one trial.

    Args:
        folder: the run's.
        arguments: of `train.py`, without the folder.
        metric: column of `metrics.csv` by which the run is judged.
        average: how many of its last values are averaged.
    """

    def __init__(self, folder: Path, arguments: Sequence[str], metric: str, average: int) -> None:
        self.folder = folder
        self.arguments = [*arguments, f"run.dir={folder}"]
        self._metric = metric
        self._average = average
        self._process: subprocess.Popen[bytes] | None = None
        self._size = -1

    @property
    def log(self) -> Path:
        """File that takes what the run prints."""
        return self.folder.with_suffix(".txt")

    def start(self, gpu: str | None) -> None:
        """Start the run, or go on with it from its last checkpoint. A run that was finished is left alone.

        Args:
            gpu: the only GPU that it sees; None lets it see all.
        """
        arguments = self.arguments
        if checkpoints_by_age(self.folder / CHECKPOINTS):
            arguments = [f"resume={self.folder}"]
            try:
                compose_train(arguments)
            except FinishedError:
                return
        environment = os.environ | ({} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu})
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(TRAIN), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                preexec_fn=_end_with_parent,
            )

    def code(self) -> int | None:
        """Return the exit code, as in shells; None while the run goes on."""
        if self._process is None:
            return 0
        code = self._process.poll()
        return code if code is None or code >= 0 else exit_code(-code)

    def stop(self, signum: signal.Signals = signal.SIGTERM) -> None:
        """Ask the run to finish its iteration, save and end; by `REQUEUE_SIGNAL`, to have its job requeued as well."""
        if self._process is not None:
            self._process.send_signal(signum)

    def has_news(self) -> bool:
        """Return whether `metrics.csv` has grown since this was asked last."""
        path = self.folder / METRICS
        before, self._size = self._size, path.stat().st_size if path.exists() else -1
        return self._size != before

    def values(self) -> dict[int, float]:
        """Return what the run is worth by iteration: the mean of the metric's last values up to there."""
        _, rows = read_rows(self.folder / METRICS)
        given = {int(row["step"]): float(row.get(self._metric) or math.nan) for row in rows}
        measured = [(step, value) for step, value in given.items() if not math.isnan(value)]
        worth = {}
        for index, (step, _) in enumerate(measured, start=1):
            last = [value for _, value in measured[max(0, index - self._average) : index]]
            worth[step] = math.fsum(last) / len(last)
        return worth

    def last_words(self) -> str:
        """Return the last line that the run printed."""
        lines = self.log.read_text(errors="replace").split("\n") if self.log.exists() else []
        return next((line for line in reversed(lines) if line.strip()), "it printed nothing")


def command_line(arguments: Sequence[str]) -> str:
    """Return a command to be typed."""
    return shlex.join(["python", "train.py", *arguments])


_LIBC = ctypes.CDLL(None)


def _end_with_parent() -> None:
    """Have the kernel kill this process as soon as its parent has ended, so that no other worker meets it."""
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
