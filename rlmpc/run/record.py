"""Records in a run's folder how the run was started."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import rlmpc
from rlmpc.config.train import TrainCfg

RECORDED_PACKAGES = (
    *("isaaclab", "newton", "mujoco-warp", "warp-lang", "torch", "lightning", "torchmetrics", "omegaconf"),
    "gymnasium",
)
"""Packages whose version may change what is learned."""


VERSIONS = "versions.json"
"""File with the versions of packages, and the arguments that were typed."""


def write_record(folder: Path, cfg: TrainCfg, arguments: Sequence[str]) -> None:
    """Write `config.yaml`, `versions.json` and the state of the git checkout (`git.txt`) into a folder.

    Raises:
        OSError: if the folder cannot be written.
    """
    # Imported here, because a command that is only asked how it is used should answer at once.
    from omegaconf import OmegaConf

    # First, as it tells whose folder this is.
    (folder / VERSIONS).write_text(json.dumps(versions() | {"arguments": list(arguments)}, indent=2) + "\n")
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(_escaped(asdict(cfg)))), encoding="utf-8")
    (folder / "git.txt").write_text(_git_state(), encoding="utf-8")


def _escaped(tree: Any) -> Any:
    """Return a config in which OmegaConf takes `${` as text: nobody means an interpolation."""
    if isinstance(tree, dict):
        return {name: _escaped(value) for name, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_escaped(value) for value in tree]
    return tree.replace("${", "\\${") if isinstance(tree, str) else tree


def recorded_arguments(folder: Path) -> list[str] | None:
    """Return the sorted arguments in a record; None if the folder holds none that can be read."""
    try:
        arguments = json.loads((folder / VERSIONS).read_text())["arguments"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return sorted(map(str, arguments)) if isinstance(arguments, list) else None


def versions() -> dict[str, Any]:
    """Return the version of this project, of Python and of `RECORDED_PACKAGES`."""
    found = {"rlmpc": rlmpc.__version__, "python": platform.python_version()}
    for package in RECORDED_PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def commit() -> str:
    """Return the commit of the git checkout, and whether tracked files differ from it; a sentence without one."""
    state = _git_state()
    return state.splitlines()[0] + " with changes to it" * ("\ndiff --git " in state)


def _git_state() -> str:
    """Return commit, changed files and their diff; a sentence if there is no git or no checkout."""
    here = Path(rlmpc.__file__).parent
    parts = []
    for arguments in (["rev-parse", "HEAD"], ["status", "--short"], ["diff", "HEAD"]):
        try:
            result = subprocess.run(["git", *arguments], cwd=here, capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return "not a git checkout\n"
        parts.append(result.stdout.decode(errors="replace"))
    return "\n".join(parts)
