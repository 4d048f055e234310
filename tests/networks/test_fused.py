"""Kernels of a GPU, run by Triton's interpreter on the CPU, give the activations and gradients of torch."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton comes with CUDA builds of torch")
def test_kernels_give_activations_and_gradients_of_torch_and_what_is_not_a_number_stays_so():
    """In a process of its own: Triton interprets from its import on or not at all."""
    script = Path(__file__).with_name("fused_on_cpu.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    *sound, broken = (json.loads(line) for line in done.stdout.splitlines())
    for found in (*sound, broken):
        assert found["is_finite_alike"]
        assert max(found["differences"]) < 2e-5
    assert all(all(found["is_finite"]) for found in sound)
    assert broken["is_finite"] == [False] * 3
