"""`python forked_runs.py sweep=FILE`: `train.py`, except that the runs of the sweep are forked from this process.

So they need not import again what takes seconds, which is done here before the first.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import callbacks.make  # noqa: F401
import rlmpc.run.trainer  # noqa: F401
import train
from rlmpc.run.command import run_command
from rlmpc.sweep import run, worker


class Forked(subprocess.Popen):
    """A child process that runs `train.py` with the arguments of a command."""

    def _execute_child(self, args: list[str], executable: Any, preexec_fn: Any, *given: Any) -> None:
        sys.stdout.flush()
        self.pid, self._child_created = os.fork(), True
        if self.pid == 0:
            preexec_fn()
            streams = given[7], given[10], given[12]
            os._exit(_run(args, streams))
        self._close_pipe_fds(*given[7:13])  # type: ignore[attr-defined]


def _run(command: list[str], streams: tuple[int, ...]) -> int:
    """Make this process what the command would be, run it, and return its exit code."""
    signal.set_wakeup_fd(-1)
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, signal.SIG_DFL)
    for standard, stream in enumerate(streams):
        os.dup2(stream, standard)
    os.closerange(3, 1024)
    sys.stdout, sys.stderr = (open(standard, "w", buffering=1, closefd=False) for standard in (1, 2))  # noqa: SIM115
    sys.argv = command[1:]
    try:
        run_command(train.main)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


if __name__ == "__main__":
    run.subprocess = type("forking", (), {"Popen": Forked, "DEVNULL": subprocess.DEVNULL})  # type: ignore[assignment]
    worker.POLL_S = 0.05
    run_command(train.main)
