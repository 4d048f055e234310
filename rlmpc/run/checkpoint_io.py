"""How Lightning's Trainer writes and reads checkpoints."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from rlmpc.checkpoint.file import Checkpoint
from rlmpc.checkpoint.write import write_whole


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its target, flushes and renames it, so that the target is never a partial file.

    Args:
        opened: the checkpoint that the Trainer restores from; it is not read again.
    """

    def __init__(self, opened: Checkpoint | None) -> None:
        super().__init__()
        self._opened = opened

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint.

        Raises:
            RunError: if it cannot be written.
        """
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        # Not `getbuffer`: if the write fails, CPython 3.12.1 crashes when it collects the view.
        write_whole(Path(path), buffer.getvalue())

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Return the whole content of the opened checkpoint, on the CPU; a missing optimizer is no error here."""
        assert self._opened is not None and Path(path) == self._opened.path, f"{path} is not the opened checkpoint"
        return {"optimizer_states": [], "lr_schedulers": [], **self._opened.content}
