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

from rlmpc.checkpoint.find import CHECKPOINTS, checkpoints_by_age
from rlmpc.errors import RunError
from rlmpc.run.processes import slurm_job

REQUEUE_SIGNAL = signal.SIGUSR1
"""Signal that SLURM sends before a job's time is over (`--signal=USR1@90`); Lightning's plugin expects the same."""

START_TIMEOUT_S = 5.0
"""How long a process may take to close what is open after a signal before training: nothing was learned yet."""

WAITS = "stopping after this iteration; press Ctrl-C again to stop at once"


def exit_code(signum: int) -> int:
    """Return the exit code of a process that a signal ended, as in shells: SIGTERM 143, Ctrl-C 130, SIGHUP 129."""
    return 128 + signum


class StopSignals:
    """Takes SIGTERM, SIGINT, SIGHUP and, in a SLURM job, `REQUEUE_SIGNAL` while its body runs.

    Before `defer` is called, a signal raises SystemExit, so that everything open is closed; only `REQUEUE_SIGNAL` waits
    for the first iteration. Afterwards the first signal is only remembered, so that the iteration can finish; a SIGINT
    after it ends the process at once. In both cases the process is forced to end if it has not ended by itself after
    `START_TIMEOUT_S` or `timeout_s`.

    Python runs handlers between two instructions of the main thread, so a process that compiles kernels or waits in a
    collective never runs them. A second thread therefore learns of signals as well (`signal.set_wakeup_fd`).

    Args:
        timeout_s: seconds from the first signal in training after which the process is forced to end.
        say: called by that thread with one line for the person who sent the signal.
    """

    def __init__(self, timeout_s: float, say: Callable[[str], None]) -> None:
        self.received: signal.Signals | None = None
        """The first signal this process got."""
        self.stopped_by: signal.Signals | None = None
        """The signal that ended training, perhaps one to another process; set by the callback that ended it."""
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
        self._previous = {signum: signal.getsignal(signum) for signum in _stop_signals()}
        self.take()
        Thread(target=self._watch, args=(read,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # An ending process keeps its handlers: torchrun signals all processes as soon as the first has ended.
        if self.received is None and self.stopped_by is None:
            self.restore()

    def restore(self) -> None:
        """Restore the previous signal handlers."""
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)
        signal.set_wakeup_fd(self._previous_fd)
        os.close(self._pipe)

    def defer(self) -> None:
        """Remember signals from now on, and take back those whose handlers were replaced meanwhile."""
        self._is_deferring = True
        self.take()

    def take(self) -> None:
        """Take the signals, again where other code took them: native code does so without Python's knowledge.

        Triton's compiler is such code. LLVM's handler hands a signal on, but one more in that moment ends the process,
        and `timeout`, torchrun and SLURM may send more than one.
        """
        for signum in self._previous:
            signal.signal(signum, self._handle)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        is_waiting = self.received == REQUEUE_SIGNAL and not self._is_deferring
        if self.received is not None and not is_waiting:
            return
        self.received = signal.Signals(signum)
        if self._is_deferring:
            return
        if signum == REQUEUE_SIGNAL:
            self._say(f"{self.received.name}: stopping after the first iteration")
            return
        self._say(f"{self.received.name}: stopping before training has begun")
        raise SystemExit(exit_code(signum))

    def _watch(self, pipe: int) -> None:
        first: signal.Signals | None = None
        wait_s, deadline, limit_s = None, 0.0, 0.0
        while select.select([pipe], [], [], wait_s)[0]:
            received = os.read(pipe, 64)
            if not received:
                os.close(pipe)
                return
            for signum in [signal.Signals(number) for number in received if number in self._previous]:
                if first is None:
                    if signum == REQUEUE_SIGNAL and not self._is_deferring:
                        continue
                    first, limit_s = signum, self._timeout_s if self._is_deferring else START_TIMEOUT_S
                    deadline = time.monotonic() + limit_s
                    if self._is_deferring:
                        self._say(f"{signum.name}: {WAITS}")
                elif signum == signal.SIGINT:
                    self._say("stopped at once; what came after the last checkpoint is lost")
                    os._exit(exit_code(signum))
            wait_s = None if first is None else max(0.0, deadline - time.monotonic())
        assert first is not None
        self._say(f"still not finished {limit_s:g} s after {first.name}; stopped at once")
        os._exit(exit_code(first))


def _stop_signals() -> list[signal.Signals]:
    """Return the signals that stop a run of this process."""
    signals = [signal.SIGTERM, signal.SIGINT]
    # What nohup started goes on when its terminal is closed.
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signals.append(signal.SIGHUP)
    if slurm_job() is not None:
        signals.append(REQUEUE_SIGNAL)
    return signals


def how_to_go_on(folder: Path) -> str:
    """Return where a run is and how to resume it, as the end of a sentence."""
    saved = checkpoints_by_age(folder / CHECKPOINTS)
    if not saved:
        return f"the run in '{folder}' has no checkpoint yet"
    go_on = f"go on with: python train.py resume={folder}"
    return f"the run is in '{folder}', its last checkpoint is {saved[0].name}; {go_on}"


def end_stopped_run(signum: signal.Signals, folder: Path, say: Callable[[str], None], rank: int) -> NoReturn:
    """End this process, after everything is closed, with the exit code of the signal that stopped the run.

    Raises:
        SystemExit: always.
        RunError: if SLURM refuses to requeue the job.
    """
    say(f"stopped by {signum.name}; {how_to_go_on(folder)}")
    if signum == REQUEUE_SIGNAL and rank == 0:
        _requeue_job()
    # Python removes its handlers before it ends. torchrun signals every process once the first has ended, and when a
    # terminal is closed, both kernel and shell hang up.
    for late in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(late, signal.SIG_IGN)
    raise SystemExit(exit_code(signum))


def _requeue_job() -> None:
    """Ask SLURM to requeue this job. This comes last: SLURM ends the running job right away.

    Lightning's own handler would first save another checkpoint in the middle of an iteration, under its own name and in
    its own folder.
    """
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    job = str(slurm_job()) if array is None else f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    try:
        subprocess.run(["scontrol", "requeue", job], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise RunError(f"SLURM job {job} could not be requeued: {error}") from error
