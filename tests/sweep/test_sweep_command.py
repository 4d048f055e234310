"""Sweeps as they are started, killed and started again; on the toy environment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from rlmpc.sweep.settings import read_sweep
from rlmpc.sweep.study import open_storage, open_study

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SWEEP = """
arguments:
  - task=toy
  - device=cpu
  - num_envs=32
  - agent.num_steps=16
  - agent.num_minibatches=1
  - trainer.max_epochs=4
  - checkpoint.every=1
  - logger=[csv]
space:
  agent.learning_rate: {float: [1e-4, 1e-2], log: true}
  agent.num_epochs: {int: [1, 2]}
  agent.activation: {choice: [elu, tanh]}
trials: 8
metric: episode/length
average: 3
"""


@pytest.fixture
def sweep(warm, tmp_path):
    """Starts a worker on a sweep file."""

    def start(name: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(ROOT / "tests/sweep/forked_runs.py"), f"sweep={name}.yaml"]
        with (tmp_path / f"{name}.txt").open("a") as output:
            return warm.start(command, cwd=tmp_path, stdout=output, stderr=output)

    return start


def outcome(folder: Path, name: str) -> list[tuple]:
    """Settings and value of every trial."""
    cfg = read_sweep(folder / f"{name}.yaml")
    cfg.folder = str(folder / cfg.place)
    trials = open_study(cfg, open_storage(cfg)).trials
    return [(trial.number, trial.state.name, trial.params, trial.value) for trial in trials]


def finished(folder: Path, name: str) -> int:
    return sum(state == "COMPLETE" for _, state, _, _ in outcome(folder, name))


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def test_a_sweep_whose_workers_are_killed_ends_as_one_that_was_left_alone(sweep, tmp_path):
    (tmp_path / "alone.yaml").write_text(f"{SWEEP}workers: 2\n")
    (tmp_path / "killed.yaml").write_text(SWEEP)
    assert sweep("alone").wait(timeout=200) == 0, (tmp_path / "alone.txt").read_text()

    workers = [sweep("killed"), sweep("killed")]
    for number, worker in enumerate(workers, start=1):
        while not [*(tmp_path / "logs/sweeps/killed").glob("trial_*/checkpoints/epoch=1.ckpt")][2 * number - 1 :]:
            assert worker.poll() is None, (tmp_path / "killed.txt").read_text()
            time.sleep(0.02)
        for pid in (worker.pid, *children(worker.pid)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert worker.wait(timeout=20) in (0, -signal.SIGKILL)
    assert finished(tmp_path, "killed") < 8
    assert sweep("killed").wait(timeout=200) == 0, (tmp_path / "killed.txt").read_text()

    assert outcome(tmp_path, "killed") == outcome(tmp_path, "alone")
    assert finished(tmp_path, "alone") == 8
    *_, best_alone = (tmp_path / "alone.txt").read_text().splitlines()
    assert (tmp_path / "killed.txt").read_text().splitlines()[-1] == best_alone
