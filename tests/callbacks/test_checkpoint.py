"""Old checkpoints go only behind a whole newer one, and a file system that refuses does not end training."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import train
from callbacks.checkpoint import IterationCheckpoint
from rlmpc.checkpoint.file import describe_run
from rlmpc.checkpoint.find import checkpoints_by_age
from rlmpc.checkpoint.write import warn_once
from rlmpc.run.csv_log import CsvLog
from tests.checkpoint.written import CONFIG, content
from tests.checkpoint.written import saved as saved_as

TOY = [
    "task=toy",
    "device=cpu",
    "num_envs=16",
    "agent.num_steps=4",
    "agent.num_epochs=1",
    "agent.num_minibatches=1",
    "logger=[]",
    "run.dir=run",
    "checkpoint.export=false",
]
KEEPING = [*TOY, "trainer.max_epochs=5", "checkpoint.every=1", "checkpoint.keep_last=2"]


@pytest.fixture(autouse=True)
def _warns_again():
    warn_once.cache_clear()


def refuse(number: int):
    def refusing(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return refusing


def saved() -> list[str]:
    return [path.name for path in checkpoints_by_age(Path("run/checkpoints"))]


def test_what_cannot_be_removed_stays_with_one_warning(command, monkeypatch):
    unlink = Path.unlink

    def guarded(path: Path, missing_ok: bool = False) -> None:
        if path.name == "epoch=0.ckpt":
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(path))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", guarded)
    code, _, err = command(train.main, *KEEPING)
    assert code == 0
    assert err == (
        "warning: an old checkpoint in 'run/checkpoints' cannot be removed (Operation not permitted); it stays\n"
    )
    assert saved() == ["epoch=4.ckpt", "epoch=3.ckpt", "epoch=0.ckpt"]


class Evaluated:
    """Gives the callback iterations, of which every second one ends an evaluation; what it saves is a checkpoint."""

    def __init__(self, folder: Path, every: int, keep_last: int | None) -> None:
        self.folder = folder
        self.callback = IterationCheckpoint(folder, every, keep_last, CONFIG, evaluated_every=2)
        self.done = 0

    def run(self, *successes: float) -> list[str]:
        for numbers in (part for success in successes for part in ({}, {"evaluation/success": success})):

            def save(path: Path, weights_only: bool, numbers: dict[str, float] = numbers) -> None:
                saved_as(path, content(epoch=self.done, rlmpc=describe_run(CONFIG, numbers)))

            trainer: Any = SimpleNamespace(current_epoch=self.done, max_epochs=100, should_stop=False)
            trainer.is_global_zero, trainer.save_checkpoint = True, save
            learner: Any = SimpleNamespace(numbers=numbers, deliver=lambda: None)
            self.callback.on_train_epoch_end(trainer, learner)
            self.done += 1
        return [path.stem for path in checkpoints_by_age(self.folder)]


def test_the_best_of_the_evaluations_stays_whatever_the_number_of_the_newest(tmp_path):
    assert Evaluated(tmp_path, every=2, keep_last=1).run(0.2, 0.7, 0.6, 0.5) == ["epoch=7", "epoch=3"]


def test_a_better_success_is_saved_between_the_times_of_saving_too(tmp_path):
    assert Evaluated(tmp_path, every=50, keep_last=1).run(0.2, 0.7, 0.6, 0.7) == ["epoch=3"]


def test_a_resumed_run_knows_the_best_success(tmp_path):
    first = Evaluated(tmp_path, every=50, keep_last=5)
    first.run(0.7)
    resumed = Evaluated(tmp_path, every=50, keep_last=5)
    resumed.done = first.done
    resumed.callback.load_state_dict(first.callback.state_dict())
    assert resumed.run(0.6, 0.8) == ["epoch=5", "epoch=1"]


@pytest.mark.parametrize("content", [b"", b"cut off"])
def test_a_newest_file_that_was_cut_off_on_its_disk_keeps_the_older_ones(tmp_path, capsys, content):
    for number in range(3):
        (tmp_path / f"epoch={number}.ckpt").write_bytes(content)
    IterationCheckpoint(tmp_path, 1, 1, {})._remove_old(tmp_path / "epoch=2.ckpt")
    assert len(checkpoints_by_age(tmp_path)) == 3
    assert "epoch=2.ckpt' is damaged on its disk; older checkpoints are kept" in capsys.readouterr().err


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_system_without_locks_links_and_flushes_is_trained_on(command, monkeypatch, number):
    for owner, name in ((fcntl, "flock"), (os, "fsync"), (Path, "symlink_to")):
        monkeypatch.setattr(owner, name, refuse(number))
    code, _, err = command(train.main, *KEEPING)
    assert code == 0
    assert [line.split(" (")[0] for line in err.splitlines()] == [
        "warning: the file system offers no lock for 'run'",
        "warning: the file system offers no flushing in 'run/checkpoints'",
        "warning: the file system offers no links in 'run/checkpoints'",
    ]
    code, out, err = command(train.main, "resume=run", "trainer.max_epochs=6")
    assert (code, err) == (0, "")
    assert "epoch=4.ckpt" in out


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ESTALE, errno.EIO, errno.EACCES, errno.EROFS])
@pytest.mark.parametrize("call", ["flock", "write", "link", "curve"])
def test_any_other_refusal_is_a_sentence(command, monkeypatch, number, call):
    owners = {
        "flock": (fcntl, "flock"),
        "write": (os, "fsync"),
        "link": (Path, "symlink_to"),
        "curve": (CsvLog, "log_metrics"),
    }
    monkeypatch.setattr(*owners[call], refuse(number))
    code, _, err = command(train.main, *[one for one in KEEPING if one != "logger=[]"], "logger=[csv]")
    assert code in (1, 2)
    assert os.strerror(number) in err
    assert "Traceback" not in err
