"""Chooses this process's device, and starts the simulator with what it prints turned into one clear message."""

from __future__ import annotations

import io
import re
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import torch

from rlmpc.errors import UserError
from rlmpc.processes import local_rank

MODULES_PER_REPORT = 10
"""A cold start compiles about 70 modules."""


def resolve_device(device: str, num_processes: int = 1) -> torch.device:
    """The device that `device=` means here.

    Args:
        device: `auto`, `cpu`, `cuda` or `cuda:<index>`.
        num_processes: processes of this machine; each takes a GPU of its own.

    Raises:
        UserError: for another name, or a GPU that is not there.
    """
    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        device = "cuda" if available else "cpu"
    if device == "cpu":
        return torch.device("cpu")
    match = re.fullmatch(r"cuda(?::(\d+))?", device)
    if match is None:
        raise UserError(f"unknown device '{device}'; accepted: auto, cpu, cuda, cuda:<index>")
    if not available:
        raise UserError(f"device={device}, but this machine has no usable GPU; use device=cpu or device=auto")
    first = int(match[1] or 0)
    if first + num_processes > available:
        raise UserError(f"device={device} with {num_processes} processes, but this machine has {available} GPUs")
    if num_processes > 1 and match[1]:
        raise UserError(f"device={device} names one GPU, but trainer.devices={num_processes}; use device=cuda")
    return torch.device("cuda", first + local_rank())


class _SimulatorOutput(io.TextIOBase):
    """Takes what the simulator prints: keeps it in a file if there is one, and reports kernels as they are compiled."""

    def __init__(self, path: Path | None, report: Callable[[str], None]) -> None:
        self._file = path.open("a") if path is not None else None
        self._report = report
        self.num_compiled = 0

    def write(self, text: str) -> int:
        if self._file is not None:
            self._file.write(text)
        if "(compiled)" in text:
            self.num_compiled += 1
            if self.num_compiled % MODULES_PER_REPORT == 0:
                self._report(f"  {self.num_compiled} kernel modules compiled")
        return len(text)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        super().close()


@contextmanager
def starting_simulator(log_file: Path | None, report: Callable[[str], None]) -> Iterator[None]:
    """Run the body (creating and first stepping an environment) with the simulator's text sent to `log_file`.

    Args:
        log_file: where Isaac Lab's and Warp's start-up text goes; None drops it.
        report: called with a short sentence when something is worth telling.
    """
    import warp  # not at the top: without the simulator there is no Warp

    quiet_simulator()
    report(
        "starting the simulator; the first start on a machine compiles kernels for one to two minutes, "
        "later ones take seconds"
    )
    output = _SimulatorOutput(log_file, report)
    start = time.monotonic()
    # Isaac Lab silences Warp's reports of compiled modules; they are what tells a person that the wait has a reason.
    before = (warp.config.quiet, warp.config.log_level)
    warp.config.quiet, warp.config.log_level = False, warp.LOG_INFO
    try:
        with redirect_stdout(output):
            yield
    finally:
        warp.config.quiet, warp.config.log_level = before
        output.close()
    compiled = f", {output.num_compiled} kernel modules compiled" if output.num_compiled else ""
    report(f"simulator ready after {time.monotonic() - start:.0f} s{compiled}")


def quiet_simulator() -> None:
    """Silence warnings that come from inside Isaac Lab and Newton and that no user can act upon."""
    for category in (DeprecationWarning, FutureWarning, UserWarning):
        warnings.filterwarnings("ignore", category=category, module=r"(isaaclab|newton|warp|mujoco).*")
