"""Turns what was typed for a setting that is a path into the one path it means."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from rlmpc.errors import UserError

WORDS = ("latest", "best")
"""What may be typed instead of a path where a checkpoint is looked for."""


def read_path(text: str, key: str) -> str:
    """Return the path that was typed for `key`: from where the command was typed, home folders and links resolved.

    A path below the current folder stays relative, so that messages are short. Reading a result again returns it
    unchanged.

    Raises:
        UserError: if it means no path.
    """
    if text in WORDS:
        return text
    if not text:
        raise UserError(f"'{key}' is empty; give a path")
    if "\0" in text or not _is_encodable(text):
        raise UserError(f"'{key}' holds characters that no path has: {text[:40]!r}")
    try:
        # `Path` drops the dot of `./~`.
        expanded = Path(text).expanduser() if text.startswith("~") else Path(text)
    except RuntimeError as error:
        user = text.partition("/")[0]
        raise UserError(
            f"'{key}': there is no home folder {user}; a name that starts with ~ is written ./{user}"
        ) from error
    try:
        here = Path.cwd()
    except FileNotFoundError as error:
        raise UserError(f"'{key}': the current folder was removed; change into another one") from error
    try:
        path = expanded.resolve()
        path.exists()
    except RuntimeError as error:
        raise UserError(f"'{key}': the link '{text}' leads back to itself") from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise UserError(f"'{key}': '{text[:40]}...' is too long for a file's name") from error
        raise UserError(f"'{key}': '{text}' cannot be read: {error.strerror}") from error
    short = str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
    # Typed alone, some short ones would mean something else.
    return str(path) if short in WORDS or short.startswith("~") else short


def _is_encodable(text: str) -> bool:
    try:
        os.fsencode(text).decode()
    except UnicodeError:
        return False
    return True
