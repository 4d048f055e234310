"""Starts the simulator and replaces its output by one clear message."""

from __future__ import annotations

import gc
import io
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import warp

NUM_MODULES = 65
"""Modules that a cold start compiles, about."""

REPORT_INTERVAL_S = 10.0


class _SimulatorOutput(io.TextIOBase):
    """Receives the simulator's output: writes it to a file, if any, and reports kernels as they are compiled."""

    def __init__(self, path: Path | None, say: Callable[[str], None]) -> None:
        self._file = path.open("a") if path is not None else None
        self._say = say
        self._start = self._last_report = time.monotonic()
        self.num_compiled = 0

    def write(self, text: str) -> int:
        # Isaac Lab's logger keeps this stream and writes warnings to it as long as the process runs.
        if self._file is not None and not self._file.closed:
            self._file.write(text)
        if "(compiled)" in text:
            self.num_compiled += 1
            now = time.monotonic()
            if now - self._last_report >= REPORT_INTERVAL_S:
                self._last_report = now
                of_all = f"{self.num_compiled} of about {max(NUM_MODULES, self.num_compiled)}"
                self._say(f"  {of_all} kernel modules compiled, {now - self._start:.0f} s")
        return len(text)

    def close(self) -> None:
        """Close the file; the stream stays open, as a closed one makes Isaac Lab's logger print tracebacks."""
        if self._file is not None:
            self._file.close()


@contextmanager
def starting_simulator(log_file: Path | None, say: Callable[[str], None]) -> Iterator[None]:
    """Run the body (creating and first stepping an environment) with the simulator's output sent to `log_file`.

    Args:
        log_file: file for Isaac Lab's and Warp's output; None drops it.
        say: called with short sentences about the start.
    """
    quiet_simulator()
    say(
        "starting the simulator; the first start on a machine compiles kernels for one to two minutes, "
        "later ones take seconds"
    )
    output = _SimulatorOutput(log_file, say)
    start = time.monotonic()
    # Isaac Lab silences Warp's reports of compiled modules; they tell the user why the start takes long.
    before = (warp.config.quiet, warp.config.log_level)
    warp.config.quiet, warp.config.log_level = False, warp.LOG_INFO
    try:
        with redirect_stdout(output), keeping_objects():
            yield
    finally:
        warp.config.quiet, warp.config.log_level = before
        output.close()
    compiled = f", {output.num_compiled} kernel modules compiled" if output.num_compiled else ""
    say(f"simulator ready after {time.monotonic() - start:.0f} s{compiled}")


@contextmanager
def keeping_objects() -> Iterator[None]:
    """Let the garbage collector pass over what the body makes, also later on.

    A simulator is millions of objects that stay. To search them takes seconds with thousands of environments, and every
    recorded graph begins with a search.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def quiet_simulator() -> None:
    """Silence warnings from inside Isaac Lab and Newton that no user can act on."""
    for category in (DeprecationWarning, FutureWarning, UserWarning):
        warnings.filterwarnings("ignore", category=category, module=r"(isaaclab|newton|warp|mujoco).*")
