"""Exit codes of whole processes with the simulator, whose closing must not change them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.sim

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["device=cpu", "num_envs=4", "env.scene.terrain.terrain_generator.num_rows=2", "logger=[]"]


def train(folder: Path, fault: str) -> subprocess.CompletedProcess[str]:
    """A run on the G1 in which something happens in its third iteration."""
    command = [sys.executable, str(ROOT / "tests/train_with_fault.py"), "task=blind_rl", *SMALL]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "FAULT": fault}
    settings = ["trainer.max_epochs=100", "checkpoint.every=2", f"run.dir={folder / 'run'}"]
    return subprocess.run(
        [*command, *settings], cwd=folder, env=environment, capture_output=True, text=True, timeout=500
    )


def test_a_signal_finishes_the_iteration_and_saves(tmp_path):
    done = train(tmp_path, "SIGTERM rollout 0")
    assert done.returncode == 143, done.stderr
    assert torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["epoch"] == 2
    assert "SIGTERM: stopping after this iteration" in done.stdout


def test_an_exception_ends_with_code_1_and_names_the_run(tmp_path):
    done = train(tmp_path, "error update 0")
    assert done.returncode == 1, done.stderr
    assert "ZeroDivisionError: on purpose" in done.stderr
    assert "its last checkpoint is epoch=1.ckpt" in done.stderr
