"""Exit codes of whole processes with the simulator, whose closing must not change them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.sim

ROOT = Path(__file__).resolve().parents[2]
SMALL = [
    *("device=cpu", "num_envs=4", "env.scene.terrain.terrain_generator.num_rows=2"),
    *("logger=[]", "checkpoint.export=false"),
]


@pytest.fixture
def train(warm, tmp_path) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Runs on the G1 with something that happens in the third iteration."""

    def run(fault: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "tests/train_with_fault.py"), "task=blind_rl", *SMALL]
        settings = ["trainer.max_epochs=100", "checkpoint.every=2", f"run.dir={tmp_path / 'run'}"]
        return warm.run([*command, *settings], cwd=tmp_path, env={**os.environ, "FAULT": fault}, timeout=500)

    return run


def test_a_signal_finishes_the_iteration_and_saves(train, tmp_path):
    done = train("SIGTERM rollout 0")
    assert done.returncode == 143, done.stderr
    assert torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["epoch"] == 2
    assert "SIGTERM: stopping after this iteration" in done.stdout


def test_an_exception_ends_with_code_1_and_names_the_run(train):
    done = train("error update 0")
    assert done.returncode == 1, done.stderr
    assert "ZeroDivisionError: on purpose" in done.stderr
    assert "its last checkpoint is epoch=1.ckpt" in done.stderr
