"""Compiles a kernel by Triton, for a GPU that need not be there, and waits for a signal: `taken_back` or `lost`."""

from __future__ import annotations

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


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    with StopSignals(60, say) as signals:
        signals.defer()
        triton.compile(ASTSource(fn=set_to_zero, signature={"x": "*fp32"}), target=GPUTarget("cuda", 90, 32))
        if sys.argv[1] == "taken_back":
            signals.take()
        say("ready")
        while signals.received is None:
            time.sleep(0.01)
