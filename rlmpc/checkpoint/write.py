"""Writes files so that no fault leaves a partial one."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from rlmpc.errors import RunError


def write_whole(path: Path, data: bytes | memoryview) -> None:
    """Write a file completely or not at all.

    Raises:
        RunError: if it cannot be written.
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
        with suppress(OSError):
            part.unlink()
        raise RunError(f"'{path}' cannot be written to its disk: {error.strerror}") from error


def _flush_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
