from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rlmpc.checkpoint.file import Checkpoint
from rlmpc.errors import RunError
from rlmpc.run.checkpoint_io import AtomicCheckpointIO


def opened(path: Path, content: dict) -> Checkpoint:
    return Checkpoint(path, "", 3, {}, {}, {}, {}, [], optimizer_states=[], content=content)


def test_what_lightning_saves_is_a_whole_file_and_one_that_cannot_be_written_is_an_error_of_ours(tmp_path: Path):
    io = AtomicCheckpointIO(None)
    io.save_checkpoint({"epoch": 3}, tmp_path / "new/a.ckpt")
    assert torch.load(tmp_path / "new/a.ckpt", weights_only=True) == {"epoch": 3}
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.ckpt"]
    with pytest.raises(RunError, match=r"b\.ckpt' cannot be written to its disk"):
        io.save_checkpoint({"epoch": 3}, tmp_path / "new/a.ckpt/b.ckpt")


def test_lightning_restores_from_what_is_open_already_and_misses_no_optimizer(tmp_path: Path):
    """The file is not there: nothing is read."""
    path = tmp_path / "a.ckpt"
    content = AtomicCheckpointIO(opened(path, {"epoch": 3})).load_checkpoint(str(path))
    assert content == {"epoch": 3, "optimizer_states": [], "lr_schedulers": []}
    with pytest.raises(AssertionError, match=r"b\.ckpt is not the opened checkpoint"):
        AtomicCheckpointIO(opened(path, {})).load_checkpoint(tmp_path / "b.ckpt")
