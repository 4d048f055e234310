"""Records in a run's folder how the run was started."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import yaml

import rlmpc
from rlmpc.config.train import TrainCfg

RECORDED_PACKAGES = (
    *("isaaclab", "newton", "mujoco-warp", "warp-lang", "torch", "lightning", "torchmetrics", "omegaconf"),
    "gymnasium",
)
"""Packages whose version may change what is learned."""


def write_record(folder: Path, cfg: TrainCfg) -> None:
    """Write `config.yaml`, `versions.json` and the state of the git checkout (`git.txt`) into a folder.

    Raises:
        OSError: if the folder cannot be written.
    """
    (folder / "config.yaml").write_text(yaml.safe_dump(asdict(cfg), sort_keys=False, allow_unicode=True))
    (folder / "versions.json").write_text(json.dumps(_versions(), indent=2) + "\n")
    (folder / "git.txt").write_text(_git_state())


def _versions() -> dict[str, str]:
    versions = {"rlmpc": rlmpc.__version__, "python": platform.python_version(), "command": " ".join(sys.argv)}
    for package in RECORDED_PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def _git_state() -> str:
    """Return commit, changed files and their diff; a sentence if there is no git or no checkout."""
    here = Path(rlmpc.__file__).parent
    parts = []
    for arguments in (["rev-parse", "HEAD"], ["status", "--short"], ["diff", "HEAD"]):
        try:
            result = subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return "not a git checkout\n"
        parts.append(result.stdout)
    return "\n".join(parts)
