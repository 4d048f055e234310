"""Opens the page's server."""

from __future__ import annotations

import io
import socket
from contextlib import redirect_stdout

import viser

from rlmpc.errors import UserError


class PageServer(viser.ViserServer):
    """A server that a browser cannot make public: viser's own lets every client ask for a tunnel from the internet."""

    def request_share_url(self, verbose: bool = True) -> str | None:
        """Do nothing."""
        return None

    def stop(self) -> None:
        """Close the page, without viser's own line about it."""
        with redirect_stdout(io.StringIO()):
            super().stop()


def open_server(host: str, port: int, title: str) -> PageServer:
    """Listen on an address.

    Raises:
        UserError: if it cannot be listened on.
    """
    # viser takes the next free port without a word, or fails in a thread of its own.
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except (OSError, UnicodeError) as error:
        said = getattr(error, "strerror", None) or error
        raise UserError(f"the page cannot be at host={host} port={port}: {said}; choose another with port=") from None
    # It prints a box, also when it is not verbose.
    with redirect_stdout(io.StringIO()):
        return PageServer(host, port, label=title, verbose=False)


def address(host: str, port: int) -> str:
    """Say where the page is, and who can open it."""
    is_local = host in ("127.0.0.1", "::1", "localhost")
    who = "only from this machine; host=0.0.0.0 opens it to others" if is_local else "from other machines too"
    return f"live page at http://{f'[{host}]' if ':' in host else host}:{port}, {who}; Ctrl-C ends"
