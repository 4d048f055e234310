"""Kernels of a GPU, run by Triton's interpreter on the CPU, do what the solver's torch code does."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="Triton comes with CUDA builds of torch")


def compared(horizon: int, state: str) -> dict[str, Any]:
    """What `fused_on_cpu.py` found, in a process of its own: Triton interprets from its import on or not at all."""
    script = Path(__file__).with_name("fused_on_cpu.py")
    done = subprocess.run([sys.executable, script, str(horizon), state], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("horizon", [10, 3])
def test_kernels_iterate_as_torch_does(horizon: int):
    found = compared(horizon, "sound")
    assert found["is_finite"] == [True, True]
    assert found["inverse"] < 1e-4
    assert found["iterates"] < 1e-3


def test_what_is_not_a_number_stays_so_in_its_environment():
    assert compared(2, "broken")["is_finite"] == [False, True]
