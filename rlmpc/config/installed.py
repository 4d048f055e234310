"""Whether an optional package is there, without importing it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sysconfig
from functools import cache
from pathlib import Path


def is_installed(package: str) -> bool:
    """Return whether a package can be imported.

    A folder of this name in the working folder, as W&B makes them, is found as well, but without an origin.
    """
    spec = importlib.util.find_spec(package)
    return spec is not None and spec.origin is not None


@cache
def compiles_kernels() -> bool:
    """Return whether Triton is there and what it compiles a GPU's kernels with: a C compiler and Python's headers."""
    compiler = os.environ.get("CC") or shutil.which("clang") or shutil.which("gcc")
    headers = Path(sysconfig.get_path("include"), "Python.h")
    return is_installed("triton") and compiler is not None and headers.is_file()
