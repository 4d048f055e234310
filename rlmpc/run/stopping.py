"""Stops a run between two iterations when a signal asks for it, and at once when it cannot wait."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from types import FrameType
from typing import Any, NoReturn, Self

from rlmpc.checkpoint.find import newest_in
from rlmpc.errors import RunError, UserError
from rlmpc.run.processes import slurm_job

REQUEUE_SIGNAL = signal.SIGUSR1
"""What SLURM is asked to send before a job's time is over (`--signal=USR1@90`); Lightning's plugin expects the same."""

WAITS = "stopping after this iteration; press Ctrl-C again to stop at once"


def exit_code(signum: int) -> int:
    """Exit code of a process that a signal has ended, as shells count it: 143 for SIGTERM, 130 for Ctrl-C."""
    return 128 + signum


class StopSignals:
    """Takes SIGTERM and SIGINT while its body runs.

    Before `defer` is called, a signal raises SystemExit, which closes whatever is open. Afterwards the first one is
    only remembered, for the iteration to be finished; a SIGINT after it ends the process at once. Either way the
    process is ended when it has not ended by itself after `timeout_s`.

    Python runs handlers between two instructions of the main thread, so a process that waits for another one in a
    collective never comes to them. A thread therefore learns of signals as well (`signal.set_wakeup_fd`).

    Args:
        timeout_s: seconds from the first signal to the end of the process at the latest.
        say: called, by that thread, with one line for the person who sent the signal.
    """

    def __init__(self, timeout_s: float, say: Callable[[str], None]) -> None:
        self.received: signal.Signals | None = None
        """The first signal that this process got."""
        self.stopped_by: signal.Signals | None = None
        """The signal for which training has ended, which may have gone to another process; set by who ended it."""
        self._timeout_s = timeout_s
        self._say = say
        self._is_deferring = False
        self._previous: dict[signal.Signals, Any] = {}
        self._previous_fd = -1
        self._pipe = -1

    def __enter__(self) -> Self:
        read, self._pipe = os.pipe()
        os.set_blocking(self._pipe, False)
        self._previous_fd = signal.set_wakeup_fd(self._pipe)
        self._take(signal.SIGTERM)
        self._take(signal.SIGINT)
        Thread(target=self._watch, args=(read,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # A process that is ending keeps its handlers: torchrun signals all as soon as the first of them has ended.
        if self.received is None and self.stopped_by is None:
            self.restore()

    def restore(self) -> None:
        """Give signals back to whom they belonged to."""
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)
        signal.set_wakeup_fd(self._previous_fd)
        os.close(self._pipe)

    def defer(self, requeue: bool) -> None:
        """From now on remember signals; take those back that others have taken meanwhile.

        Args:
            requeue: whether `REQUEUE_SIGNAL` stops the run too.
        """
        self._is_deferring = True
        for signum in (signal.SIGTERM, signal.SIGINT, *([REQUEUE_SIGNAL] if requeue else [])):
            self._take(signum)

    def _take(self, signum: signal.Signals) -> None:
        before = signal.signal(signum, self._handle)
        self._previous.setdefault(signum, before)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if self.received is not None:
            return
        self.received = signal.Signals(signum)
        if not self._is_deferring:
            self._say(f"{self.received.name}: stopping before training has begun")
            raise SystemExit(exit_code(signum))

    def _watch(self, pipe: int) -> None:
        first: signal.Signals | None = None
        wait_s, deadline = None, 0.0
        while select.select([pipe], [], [], wait_s)[0]:
            received = os.read(pipe, 64)
            if not received:
                os.close(pipe)
                return
            for signum in [signal.Signals(number) for number in received if number in self._previous]:
                if first is None:
                    first, deadline = signum, time.monotonic() + self._timeout_s
                    if self._is_deferring:
                        self._say(f"{signum.name}: {WAITS}")
                elif signum == signal.SIGINT:
                    self._say("stopped at once; what came after the last checkpoint is lost")
                    os._exit(exit_code(signum))
            wait_s = None if first is None else max(0.0, deadline - time.monotonic())
        assert first is not None
        self._say(f"still not finished {self._timeout_s:g} s after {first.name}; stopped at once")
        os._exit(exit_code(first))


def how_to_go_on(folder: Path) -> str:
    """Where a run is and how it goes on, as the end of a sentence."""
    try:
        last = newest_in(folder)
    except UserError:
        return f"the run in '{folder}' has no checkpoint yet"
    return f"the run is in '{folder}', its last checkpoint is {last.name}; go on with: python train.py resume={folder}"


def end_stopped_run(signum: signal.Signals, folder: Path, say: Callable[[str], None], rank: int) -> NoReturn:
    """End this process after all is closed, with the exit code of the signal that stopped the run.

    Raises:
        SystemExit: always.
        RunError: if SLURM should start the job again and does not take it.
    """
    say(f"stopped by {signum.name}; {how_to_go_on(folder)}")
    if signum == REQUEUE_SIGNAL and rank == 0:
        _requeue_job()
    # Python takes its handlers away before it ends, and torchrun signals every process once the first has ended.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(exit_code(signum))


def _requeue_job() -> None:
    """Ask SLURM to start this job again, as the last thing: SLURM ends the running one right away.

    Lightning's own handler would first save another checkpoint, in the middle of an iteration, under a name and in a
    folder of its own.
    """
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    job = str(slurm_job()) if array is None else f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    try:
        subprocess.run(["scontrol", "requeue", job], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise RunError(f"SLURM job {job} could not be requeued: {error}") from error
