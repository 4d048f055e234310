from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from rlmpc.checkpoint.write import link, warn_once, write_whole
from rlmpc.errors import RunError


def test_a_file_is_replaced_as_a_whole(tmp_path: Path):
    path = tmp_path / "deep/a.ckpt"
    write_whole(path, b"old")
    write_whole(path, b"new and longer")
    assert path.read_bytes() == b"new and longer"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("call", ["fsync", "write"])
def test_a_disk_that_takes_only_a_part_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch, call: str):
    path = tmp_path / "a.ckpt"
    write_whole(path, b"old")

    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if call == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr(Path, "open", full)
    with pytest.raises(RunError, match=r"a\.ckpt' cannot be written to its disk: No space left on device"):
        write_whole(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_data_is_on_the_disk_before_it_gets_its_name(tmp_path: Path, monkeypatch):
    path, calls = tmp_path / "a.ckpt", []
    write_whole(path, b"old")
    flush, rename = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (calls.append("flush"), flush(descriptor)))
    monkeypatch.setattr(Path, "replace", lambda self, to: (calls.append("rename"), rename(self, to)))
    write_whole(path, b"new")
    assert calls == ["flush", "rename", "flush"]


@pytest.fixture
def refuses(monkeypatch):
    """Lets a call of the operating system fail."""

    def install(owner: object, name: str, number: int) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(owner, name, refuse)

    warn_once.cache_clear()
    return install


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EBADF])
def test_a_file_system_that_cannot_flush_is_warned_about_once(tmp_path: Path, refuses, capsys, number: int):
    refuses(os, "fsync", number)
    for content in (b"one", b"two"):
        write_whole(tmp_path / "a.ckpt", content)
    assert (tmp_path / "a.ckpt").read_bytes() == b"two"
    err = capsys.readouterr().err
    assert err == (
        f"warning: the file system offers no flushing in '{tmp_path}' ({os.strerror(number)}); the run goes on, but "
        "its last files may not survive a power cut\n"
    )


@pytest.mark.parametrize("number", [errno.EBADF, errno.EINVAL, errno.EISDIR])
def test_a_folder_that_cannot_be_opened_to_be_flushed_does_not_fail_a_file(tmp_path: Path, refuses, number: int):
    refuses(os, "open", number)
    write_whole(tmp_path / "a.ckpt", b"new")
    assert (tmp_path / "a.ckpt").read_bytes() == b"new"


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ESTALE])
def test_any_other_failure_to_flush_is_an_error(tmp_path: Path, refuses, number: int):
    refuses(os, "fsync", number)
    with pytest.raises(RunError, match="cannot be written to its disk"):
        write_whole(tmp_path / "a.ckpt", b"new")


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
def test_where_there_are_no_links_the_last_one_stays(tmp_path: Path, refuses, capsys, number: int):
    last = tmp_path / "last.ckpt"
    link(last, tmp_path / "epoch=0.ckpt")
    refuses(Path, "symlink_to", number)
    link(last, tmp_path / "epoch=1.ckpt")
    assert last.readlink() == Path("epoch=0.ckpt")
    assert "last.ckpt does not name the newest file" in capsys.readouterr().err


def test_a_link_names_the_newest_file_and_nothing_else_is_left(tmp_path: Path):
    for number in (0, 1):
        link(tmp_path / "last.ckpt", tmp_path / f"epoch={number}.ckpt")
    assert (tmp_path / "last.ckpt").readlink() == Path("epoch=1.ckpt")
    assert len(list(tmp_path.iterdir())) == 1
