from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from rlmpc.checkpoint.write import write_whole
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
