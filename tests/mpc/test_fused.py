"""Kernels of a GPU, run by Triton's interpreter on the CPU, do what the solver's torch code does."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton comes with CUDA builds of torch")
def test_kernels_iterate_as_torch_does_and_what_is_not_a_number_stays_so():
    """In a process of its own: Triton interprets from its import on or not at all."""
    script = Path(__file__).with_name("fused_on_cpu.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    *sound, broken = (json.loads(line) for line in done.stdout.splitlines())
    for found in sound:
        assert found["is_finite"] == [True, True]
        assert found["inverse"] < 1e-4
        assert found["iterates"] < 1e-3
    assert broken["is_finite"] == [False, True]
