"""Whether an optional package is there, without importing it."""

from __future__ import annotations

import importlib.util


def is_installed(package: str) -> bool:
    """Return whether a package can be imported.

    A folder of this name in the working folder, as W&B makes them, is found as well, but without an origin.
    """
    spec = importlib.util.find_spec(package)
    return spec is not None and spec.origin is not None
