"""Compiles a kernel by Triton, for a GPU that need not be there, and ends well if it hears of a signal afterwards.

Prints who has SIGTERM after compiling and after `StopSignals.take`, then that it waits.
"""

from __future__ import annotations

import ctypes
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from rlmpc.run.stopping import StopSignals


@triton.jit
def set_to_zero(x):
    tl.store(x, 0.0)


def handler() -> int | None:
    """The function that the operating system calls at SIGTERM, of which Python may know nothing."""
    action = (ctypes.c_void_p * 32)()
    assert ctypes.CDLL(None).sigaction(int(signal.SIGTERM), None, action) == 0
    return action[0]


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    with StopSignals(60, say) as signals:
        signals.defer()
        pythons = handler()
        triton.compile(ASTSource(fn=set_to_zero, signature={"x": "*fp32"}), target=GPUTarget("cuda", 90, 32))
        say("Python" if handler() == pythons else "Triton")
        signals.take()
        say("Python" if handler() == pythons else "Triton")
        say("ready")
        while signals.received is None:
            time.sleep(0.01)
