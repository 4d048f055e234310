"""Runs a command and ends it with its exit code: one sentence for an error of ours, a traceback for any other."""

from __future__ import annotations

import errno
import sys
import time
import traceback
from collections.abc import Callable

from rlmpc.errors import RunError, UserError
from rlmpc.run.processes import is_lightning_child

LEAVE_LAST_S = 10.0
"""How long a process that Lightning started stays after an error, for the first one to end by itself."""

EXIT_CODES: dict[type[Exception], int] = {UserError: 2, RunError: 1}


def run_command(main: Callable[[list[str]], None]) -> None:
    """Run a command line entry point and end with its exit code, which is never 0 after an error.

    An error of ours ends it with its sentence on stderr, any other with its traceback and code 1; both are followed by
    the notes that were added to it.
    """
    try:
        main(sys.argv[1:])
        return
    except SystemExit as end:
        code = end.code
    except (UserError, RunError) as error:
        print(f"{sys.argv[0]}: {error}", *getattr(error, "__notes__", []), sep="\n", file=sys.stderr)
        code = EXIT_CODES[type(error)]
    except Exception as error:
        # Raised by whatever first looks at a path, mostly to see whether it exists.
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            print(f"{sys.argv[0]}: '{str(error.filename)[:40]}...' is too long for a file's name", file=sys.stderr)
            code = EXIT_CODES[UserError]
        else:
            traceback.print_exc()
            code = 1
    if is_lightning_child():
        # Lightning kills all processes when one that it started ends in an error. The first one is the one whose exit
        # code and last words a user sees, so it may end by itself, and this one with it; see `end_with_launcher`.
        time.sleep(LEAVE_LAST_S)
    raise SystemExit(code)
