"""Writes checkpoints so that no fault leaves half a file, and reads them as plain data."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from rlmpc.checkpoint.file import read_content
from rlmpc.errors import RunError


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's way of writing checkpoints to a local disk: beside the target, flushed, then renamed.

    Whatever happens meanwhile, the target is either what it was or the whole new file.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a file.

        Raises:
            RunError: if the disk does not take it.
        """
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_whole(Path(path), buffer.getbuffer())

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Read a file onto the CPU, in today's format; a missing optimizer is no error here.

        Raises:
            UserError: see `read_content`.
        """
        return {"optimizer_states": [], "lr_schedulers": [], **read_content(Path(path))}


def write_whole(path: Path, data: bytes | memoryview) -> None:
    """Write a file all or nothing.

    Raises:
        RunError: if the disk does not take it.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise RunError(f"'{path}' cannot be written to its disk: {error.strerror}") from error


def _flush_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
