"""Errors that are the user's to mend."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable


class UserError(ValueError):
    """Bad input: one sentence that says what was given, what is accepted and, for a name, the nearest valid one."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """A hint such as `; did you mean 'teacher'?`, or nothing when no valid name is close."""
    matches = difflib.get_close_matches(name, list(valid), n=1, cutoff=0.5)
    return f"; did you mean '{matches[0]}'?" if matches else ""


def run_command(main: Callable[[list[str]], None]) -> None:
    """Run a command line entry point; bad input ends it with one line on stderr and exit code 2."""
    try:
        main(sys.argv[1:])
    except UserError as error:
        print(f"{sys.argv[0]}: {error}", file=sys.stderr)
        raise SystemExit(2) from None
