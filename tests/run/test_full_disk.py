"""Runs whose disk is full."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import train
from rlmpc.checkpoint.file import load_checkpoint
from rlmpc.checkpoint.find import checkpoints_by_age
from rlmpc.run.csv_log import CsvLog

ROOT = Path(__file__).resolve().parents[2]
ON_SMALL_DISK = ROOT / "tests/train_on_small_disk.py"
NO_DISK = 77
"""Its exit code where nothing can be mounted."""


@pytest.fixture
def train_on_disk(warm, tmp_path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs on a disk of some size; what a run leaves is copied to `kept`."""

    def run(size: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        toy = ["task=toy", "device=cpu", "num_envs=16", "agent.num_steps=8", "trainer.max_epochs=100"]
        command = [sys.executable, str(ON_SMALL_DISK), size, *toy, "run.dir=disk/run", "checkpoint.export=false"]
        # The size of what git says of a checkout that was changed is anyone's guess.
        environment = {**os.environ, "GIT_DIR": str(tmp_path / "none")}
        done = warm.run([*command, *arguments], cwd=tmp_path, env=environment, timeout=200)
        if done.returncode == NO_DISK:
            pytest.skip("no file system can be mounted here")
        return done

    return run


@pytest.mark.slow
def test_what_was_saved_before_the_disk_was_full_stays_and_the_run_ends_with_code_1(train_on_disk, tmp_path):
    done = train_on_disk("1500k", "checkpoint.every=2", "checkpoint.keep_last=null")
    assert done.returncode == 1
    newest, *older = checkpoints_by_age(tmp_path / "kept/checkpoints")
    iteration = load_checkpoint(newest).iteration
    assert [load_checkpoint(path).iteration for path in older] == list(range(iteration - 2, 0, -2))
    failed = f"disk/run/checkpoints/epoch={iteration + 1}.ckpt"
    assert f"{failed}' cannot be written to its disk: No space left on device\n" in done.stderr
    assert f"the run is in 'disk/run', its last checkpoint is {newest.name}; go on with" in done.stderr
    assert {path.name for path in (tmp_path / "kept/checkpoints").iterdir()} == {
        "last.ckpt", *(path.name for path in (newest, *older))
    }  # fmt: skip


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_is_full_when_a_curve_is_written_is_named(command, monkeypatch, number):
    def full(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(CsvLog, "log_metrics", full)
    arguments = ["task=toy", "device=cpu", "num_envs=16", "agent.num_steps=8", "trainer.max_epochs=2", "logger=[csv]"]
    code, _, err = command(train.main, *arguments, "run.dir=run")
    assert code == 1
    assert f"the disk of 'run' is full: {os.strerror(number)}\nthe run ended with an error; the run in 'run'" in err
    assert "Traceback" not in err
