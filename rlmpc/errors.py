"""Errors that end a command with one sentence instead of a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Bad input: one sentence that says what was given, what is accepted and, for a name, the nearest valid one."""


class RunError(RuntimeError):
    """A run that cannot go on for a reason outside the program, such as a full disk: one sentence that names it."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return a hint such as `; did you mean 'teacher'?`, or an empty string if no valid name is close."""
    matches = difflib.get_close_matches(name, list(valid), n=1, cutoff=0.5)
    return f"; did you mean '{matches[0]}'?" if matches else ""
