"""Writes files so that no fault leaves a partial one."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from rlmpc.errors import RunError

NOT_OFFERED = {
    *(errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOTTY, errno.ENOLCK),
    *(errno.EPERM, errno.EBADF, errno.EISDIR),
}
"""What file systems (network, FUSE, FAT, overlays) answer to a step that they do not have."""


def write_whole(path: Path, data: bytes) -> None:
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
            _flush(file.fileno(), path.parent)
        part.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise RunError(f"'{path}' cannot be written to its disk: {error.strerror}") from error


def link(path: Path, target: Path) -> None:
    """Let the link `path` name `target`, a file beside it. Where no links are offered, what was there stays.

    Raises:
        OSError: if the folder cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    with if_offered(f"links in '{path.parent}'", f"but {path.name} does not name the newest file"):
        part.symlink_to(target.name)
        part.replace(path)


@contextmanager
def if_offered(what: str, loss: str) -> Iterator[None]:
    """Go on without a safety step that the file system does not offer, with a warning; any other error is raised.

    Args:
        what: what it does not offer.
        loss: what is lost by that.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in NOT_OFFERED:
            raise
        warn_once(f"the file system offers no {what} ({error.strerror}); the run goes on, {loss}")


@cache
def warn_once(sentence: str) -> None:
    """Say something on stderr, once in a process."""
    print(f"warning: {sentence}", file=sys.stderr)


def _flush(descriptor: int, folder: Path) -> None:
    """Have what was written reach the disk."""
    with if_offered(f"flushing in '{folder}'", "but its last files may not survive a power cut"):
        os.fsync(descriptor)


def _flush_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    with if_offered(f"flushing in '{folder}'", "but its last files may not survive a power cut"):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
