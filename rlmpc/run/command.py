"""Runs a command and exits with its code: one sentence for an error of ours, a traceback for any other."""

from __future__ import annotations

import errno
import sys
import time
import traceback
from collections.abc import Callable

from rlmpc.errors import RunError, UserError
from rlmpc.run.processes import is_lightning_child

LEAVE_LAST_S = 10.0
"""How long a process that Lightning started waits after an error, so that the first one can end by itself."""


def run_command(main: Callable[[list[str]], None]) -> None:
    """Run the entry point of a command and exit with its code, which is never 0 after an error.

    An error of ours prints its sentence to stderr, any other its traceback with code 1; both are followed by the notes
    added to the error.
    """
    try:
        main(sys.argv[1:])
        return
    except SystemExit as end:
        code = end.code
    except (UserError, RunError) as error:
        print(f"{sys.argv[0]}: {error}", *getattr(error, "__notes__", []), sep="\n", file=sys.stderr)
        code = 2 if isinstance(error, UserError) else 1
    except Exception as error:
        # Raised by the first access to a path, mostly a check whether it exists.
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            print(f"{sys.argv[0]}: '{str(error.filename)[:40]}...' is too long for a file's name", file=sys.stderr)
            code = 2
        else:
            traceback.print_exc()
            code = 1
    if is_lightning_child():
        # Lightning kills all processes when one that it started fails. A user sees the exit code and messages of the
        # first process, so it gets the time to end by itself, and this one ends with it; see `end_with_launcher`.
        time.sleep(LEAVE_LAST_S)
    raise SystemExit(code)
