"""A command that crashes says where."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CRASHING = """
import os, signal
from rlmpc.run.command import run_command

def step_physics(arguments):
    os.kill(os.getpid(), signal.SIGSEGV)

run_command(step_physics)
"""


def test_a_crash_of_native_code_shows_where_python_was():
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", CRASHING], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGSEGV
    assert "Segmentation fault" in done.stderr
    assert "in step_physics" in done.stderr
