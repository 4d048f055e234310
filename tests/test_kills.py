"""A run that is killed at random moments and resumed each time ends as one that was left alone, to the last bit.

`pytest tests/test_kills.py --kills 20` kills more often; `--kill-seed` draws other moments.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rlmpc.checkpoint.file import load_checkpoint
from rlmpc.checkpoint.find import checkpoints_by_age
from tests.same_run import compare

ROOT = Path(__file__).resolve().parents[1]
TOY = [
    *("task=toy", "device=cpu", "num_envs=16", "agent.num_steps=8", "agent.num_epochs=2"),
    *("agent.num_minibatches=2", "trainer.max_epochs=40", "checkpoint.every=1", "checkpoint.export=false"),
]
LATEST_S = 0.5
"""Seconds from a start's first checkpoint to its kill, at most."""


def iteration(run: Path) -> int:
    """Finished iterations in the newest checkpoint; every file is read, so that a torn one is noticed."""
    return max((load_checkpoint(path).iteration for path in checkpoints_by_age(run / "checkpoints")), default=0)


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_ends_as_one_that_was_left_alone(warm, tmp_path, pytestconfig):
    moments = random.Random(pytestconfig.getoption("--kill-seed"))
    alone, killed = tmp_path / "alone", tmp_path / "killed"

    def train(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(ROOT / "train.py"), *arguments]
        with (tmp_path / "output.txt").open("w") as output:
            return warm.start(command, cwd=tmp_path, stdout=output, stderr=output)

    def start_killed() -> subprocess.Popen[str]:
        if iteration(killed):
            return train(f"resume={killed}")
        return train(*TOY, f"run.dir={killed}")

    assert train(*TOY, f"run.dir={alone}").wait(timeout=200) == 0, (tmp_path / "output.txt").read_text()
    for _ in range(pytestconfig.getoption("--kills")):
        before = {*killed.glob("checkpoints/epoch=*")}
        process = start_killed()
        while process.poll() is None and not {*killed.glob("checkpoints/epoch=*")} - before:
            time.sleep(0.01)
        time.sleep(moments.uniform(0.0, LATEST_S))
        process.kill()
        assert process.wait() in (0, -signal.SIGKILL), (tmp_path / "output.txt").read_text()
    if iteration(killed) < iteration(alone):
        assert start_killed().wait(timeout=200) == 0, (tmp_path / "output.txt").read_text()
    assert compare(alone, killed) == ""
