"""Errors that end a command with one sentence instead of a traceback."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable


class UserError(ValueError):
    """Bad input: one sentence that says what was given, what is accepted and, for a name, the nearest valid one."""


class RunError(RuntimeError):
    """A run that cannot go on for reasons outside the program, such as a full disk: one sentence that says which."""


EXIT_CODES: dict[type[Exception], int] = {UserError: 2, RunError: 1}


def nearest(name: str, valid: Iterable[str]) -> str:
    """A hint such as `; did you mean 'teacher'?`, or nothing when no valid name is close."""
    matches = difflib.get_close_matches(name, list(valid), n=1, cutoff=0.5)
    return f"; did you mean '{matches[0]}'?" if matches else ""


def run_command(main: Callable[[list[str]], None]) -> None:
    """Run a command line entry point; an error of ours ends it with its sentence on stderr and its exit code."""
    try:
        main(sys.argv[1:])
    except (UserError, RunError) as error:
        print(f"{sys.argv[0]}: {error}", file=sys.stderr)
        raise SystemExit(EXIT_CODES[type(error)]) from None
