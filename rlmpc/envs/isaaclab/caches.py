"""Where the simulator leaves files of its own, looked at before it is imported."""

from __future__ import annotations

import os
import tempfile
from importlib.metadata import version
from pathlib import Path

from rlmpc.errors import UserError


def check_caches() -> None:
    """Refuse to start the simulator where it cannot write.

    Raises:
        UserError: naming the folder, and the variable that moves it.
    """
    _check("Warp's compiled kernels", _kernels(), "WARP_CACHE_PATH")
    try:
        temporary = Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        raise UserError("there is no folder for temporary files; set TMPDIR to a folder that can be written") from error
    _check("Isaac Lab's log", temporary / "isaaclab/logs", "TMPDIR")
    if int(os.environ.get("LOCAL_WORLD_SIZE", 1)) > 1:
        # Isaac Lab's processes lock a file there; another user's stays.
        lock = temporary / "isaaclab_usd_spawn.lock"
        if lock.exists() and not os.access(lock, os.W_OK):
            raise UserError(f"Isaac Lab cannot lock '{lock}': it is another user's; set TMPDIR to a folder of your own")


def _kernels() -> Path:
    """Return the folder that Warp takes; it says so only after it has made it."""
    given = os.environ.get("WARP_CACHE_PATH")
    base = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "warp") if given is None else Path(given)
    return Path(os.path.expanduser(base)) / version("warp-lang")  # noqa: PTH111 # an unknown home is no error here


def _check(what: str, folder: Path, variable: str) -> None:
    try:
        if folder.parts[0] == "~":
            raise FileNotFoundError(0, "this user has no home folder")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"{what} cannot be written to '{folder}' ({error.strerror}); set {variable} to a folder that can be written"
        ) from error
