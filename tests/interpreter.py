"""Runs kernels of a GPU by Triton's interpreter on the CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

NEEDS_TRITON = pytest.mark.skipif(find_spec("triton") is None, reason="Triton comes with CUDA builds of torch")


def interpreted(test: str) -> list[dict[str, Any]]:
    """Run `fused_on_cpu.py` beside a test's file and return the lines of JSON that it prints.

    In a process of its own: Triton interprets from its import on or not at all.
    """
    script = Path(test).with_name("fused_on_cpu.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]
