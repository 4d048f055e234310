"""What a command says: plain text on a terminal that may go away, kept in a file of the run."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, cast

from rich.console import Console
from rich.text import Text

LOG = "train.log"
"""File in the folder of a run's record that keeps every line of its first process."""

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Characters that move the cursor, colour, ring or turn text around, save for line ends and tabs."""


def escaped(text: str) -> str:
    """Return text with its control characters as they are written in Python, so that a terminal only shows them."""
    return CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


class PlainConsole(Console):
    """Prints text as it is, tables included: nothing in it is markup, an emoji's name or a control character."""

    def __init__(self) -> None:
        # Bound to the stream of now: what a library prints while stdout is redirected is no line of ours.
        super().__init__(file=sys.stdout, color_system=None, markup=False, emoji=False, highlight=False, soft_wrap=True)

    def render_str(self, text: str, **options: Any) -> Text:
        """Render text; rich itself would drop some control characters."""
        return super().render_str(escaped(text), **options)


class LastingStream:
    """A stream whose writes never fail: once nobody takes them, they go nowhere, and the program goes on.

    Args:
        stream: a standard stream of this process.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.log: Callable[[str], None] | None = None
        """Takes the same text."""

    def write(self, text: str) -> int:
        """Write text; control characters, and those that the stream's encoding lacks, are escaped."""
        encoding = self._stream.encoding or "utf-8"
        self._attempt(self._stream.write, escaped(text).encode(encoding, "backslashreplace").decode(encoding))
        if self.log is not None:
            self.log(text)
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Write several pieces of text."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Write what is still buffered."""
        self._attempt(self._stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _attempt(self, action: Callable[..., object], *arguments: str) -> None:
        try:
            action(*arguments)
        except BlockingIOError:
            # Whoever reads is slow, but there.
            pass
        except OSError:
            # A closed pipe or terminal, or a full disk. C code that prints would fail as well, or end the process.
            with suppress(OSError):
                _open_nowhere(self._stream.fileno())
        except (ValueError, RuntimeError):
            # The stream was closed, or a signal's handler prints while its process does.
            pass


@contextmanager
def lasting_output() -> Iterator[None]:
    """Have stdout and stderr outlast whoever reads them while the body runs; any text can be printed."""
    before = sys.stdout, sys.stderr
    streams = [_lasting(stream, descriptor) for descriptor, stream in enumerate(before, start=1)]
    sys.stdout, sys.stderr = (cast(TextIO, stream) for stream in streams)
    try:
        yield
    finally:
        for stream in streams:
            stream.flush()
            stream.log = None
        sys.stdout, sys.stderr = before


def keep_output(folder: Path) -> None:
    """Append what is printed from now on to `LOG` in a folder, until `lasting_output` ends; a full disk loses lines."""
    path = folder / LOG
    is_told = False

    def append(text: str) -> None:
        nonlocal is_told
        try:
            with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except FileNotFoundError:
            # The run was refused, and its folder removed.
            pass
        except OSError as error:
            if not is_told:
                is_told = True
                print(f"'{path}' lacks lines from here on: {error.strerror}", file=sys.stderr)

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, LastingStream):
            stream.log = append


def _lasting(stream: TextIO | None, descriptor: int) -> LastingStream:
    """Return a stream for a standard stream, which is None if the process was started without."""
    if stream is None:
        try:
            os.fstat(descriptor)
        except OSError as error:
            # Otherwise the next file that is opened gets this number, and takes what C code prints.
            if error.errno == errno.EBADF:
                _open_nowhere(descriptor)
        stream = Path(os.devnull).open("w")  # noqa: SIM115
    return LastingStream(stream)


def _open_nowhere(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if nowhere != descriptor:
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
