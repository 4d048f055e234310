"""Old checkpoints go only behind a whole newer one, and a file system that refuses does not end training."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

import train
from callbacks.checkpoint import IterationCheckpoint
from rlmpc.checkpoint.find import checkpoints_by_age
from rlmpc.checkpoint.write import warn_once
from rlmpc.run.csv_log import CsvLog

TOY = [
    "task=toy",
    "device=cpu",
    "num_envs=16",
    "agent.num_steps=4",
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
