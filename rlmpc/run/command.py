"""Runs a command and exits with its code: one sentence for an error of ours, a traceback for any other."""

from __future__ import annotations

import errno
import faulthandler
import getpass
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rlmpc.errors import RunError, UserError
from rlmpc.run.launcher_variables import check_launcher_variables
from rlmpc.run.output import lasting_output
from rlmpc.run.processes import is_lightning_child
from rlmpc.run.stopping import REQUEUE_SIGNAL, exit_code
from rlmpc.run.system_errors import sentence_of
from rlmpc.run.threads import use_one_thread

LEAVE_LAST_S = 10.0
"""How long a process that Lightning started waits after an error, so that the first one can end by itself."""

USER_ERROR = 2
"""Exit code for bad input."""


def run_command(main: Callable[[list[str]], None]) -> None:
    """Run the entry point of a command and exit with its code, which is never 0 after an error.

    An error of ours and one of the operating system print a sentence to stderr, any other its traceback with code 1;
    all are followed by the notes added to the error. A crash of native code shows where Python was.
    """
    if sys.__stderr__ is not None:
        faulthandler.enable(sys.__stderr__)
    _name_user()
    use_one_thread()
    with lasting_output(), _ignoring_requeue_signal():
        code = _code_of(main)
        if code not in (None, 0, USER_ERROR) and is_lightning_child():
            # Lightning kills all processes when one that it started fails. A user sees the exit code and messages of
            # the first process, so it gets the time to end by itself, and this one ends with it; see
            # `end_with_launcher`.
            time.sleep(LEAVE_LAST_S)
    if code:
        raise SystemExit(code)


def _code_of(main: Callable[[list[str]], None]) -> str | int | None:
    """Run a command to its end, say what went wrong, and return its exit code."""
    try:
        check_launcher_variables()
        main(sys.argv[1:])
    except SystemExit as end:
        return end.code
    except KeyboardInterrupt:
        _say("stopped by Ctrl-C")
        return exit_code(signal.SIGINT)
    except (UserError, RunError) as error:
        _say(str(error), error)
        return USER_ERROR if isinstance(error, UserError) else 1
    except Exception as error:
        sentence = sentence_of(error)
        if sentence is None:
            traceback.print_exc()
        else:
            _say(sentence, error)
        # Raised by the first access to a path that a user typed, mostly a check whether it exists.
        is_typed = isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG
        return USER_ERROR if is_typed else 1
    return 0


def _say(sentence: str, error: Exception | None = None) -> None:
    print(f"{sys.argv[0]}: {sentence}", *getattr(error, "__notes__", []), sep="\n", file=sys.stderr)


def _name_user() -> None:
    """Give a user without a name, as containers have them, its number: torch asks for it and fails without."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = str(os.getuid())


@contextmanager
def _ignoring_requeue_signal() -> Iterator[None]:
    """Keep SLURM's requeue signal from killing a process that it does not stop; see `StopSignals`."""

    def ignore(*_: object) -> None:
        _say(f"{REQUEUE_SIGNAL.name} is ignored: it only stops a run in a SLURM job, to requeue it")

    before = signal.signal(REQUEUE_SIGNAL, ignore)
    try:
        yield
    finally:
        signal.signal(REQUEUE_SIGNAL, before)
