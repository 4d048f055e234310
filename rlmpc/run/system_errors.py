"""What the operating system refuses while a run reads and writes: said in a sentence that names the place."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rlmpc.errors import RunError

FULL = {errno.ENOSPC, errno.EDQUOT}
TOO_MANY_OPEN = {errno.EMFILE, errno.ENFILE}


def sentence_of(error: BaseException, place: Path | None = None) -> str | None:
    """Return what the operating system refused, and where; None for an error of another kind.

    Args:
        error: any error.
        place: where it happened, in case that the error does not say so.
    """
    if not isinstance(error, OSError) or error.errno is None:
        return None
    named = error.filename if error.filename is not None else place
    where = "a file" if named is None else f"'{named}'"
    if error.errno in FULL:
        return f"the disk of {where} is full: {error.strerror}"
    if error.errno in TOO_MANY_OPEN:
        return f"{where} cannot be opened: {error.strerror}; allow more in this shell with ulimit -n 65536"
    if error.errno == errno.ENAMETOOLONG:
        return f"'{str(named)[:40]}...' is too long for a file's name"
    return f"{where} cannot be read or written: {error.strerror}"


@contextmanager
def naming_place(place: Path) -> Iterator[None]:
    """Say which place the operating system refused, whatever used it: loggers and simulators do not say so.

    Raises:
        RunError: instead of an OSError.
    """
    try:
        yield
    except OSError as error:
        sentence = sentence_of(error, place)
        if sentence is None:
            raise
        raise RunError(sentence) from error
