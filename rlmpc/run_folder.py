"""The folder of a run: where it is, and what it says about how the run was started."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from omegaconf import OmegaConf

import rlmpc
from rlmpc.config.schema import TrainCfg
from rlmpc.errors import UserError

PACKAGES = (
    "isaaclab",
    "newton",
    "mujoco-warp",
    "warp-lang",
    "torch",
    "lightning",
    "torchmetrics",
    "omegaconf",
    "gymnasium",
)


def run_folder(cfg: TrainCfg) -> Path:
    """`run.dir`, or `<run.root>/<task>/<stage>/<time>`."""
    if cfg.run.dir is not None:
        return Path(cfg.run.dir)
    return Path(cfg.run.root) / cfg.task.name / cfg.stage / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")


def create_run_folder(folder: Path, cfg: TrainCfg) -> None:
    """Make the folder and write `config.yaml`, `versions.json` and the state of the git checkout (`git.txt`).

    Raises:
        UserError: if the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(asdict(cfg))))
        (folder / "versions.json").write_text(json.dumps(_versions(), indent=2) + "\n")
        (folder / "git.txt").write_text(_git_state())
    except OSError as error:
        raise UserError(f"the run folder '{folder}' cannot be written: {error.strerror}") from error


def remove_run_folder(folder: Path) -> None:
    """Remove what a run left that was refused before it trained; it was empty or missing before."""
    shutil.rmtree(folder, ignore_errors=True)


def _versions() -> dict[str, str]:
    versions = {"rlmpc": rlmpc.__version__, "python": platform.python_version(), "command": " ".join(sys.argv)}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def _git_state() -> str:
    """Commit, changed files and their difference; a sentence where there is no git or no checkout."""
    here = Path(rlmpc.__file__).parent
    parts = []
    for arguments in (["rev-parse", "HEAD"], ["status", "--short"], ["diff", "HEAD"]):
        try:
            result = subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return "not a git checkout\n"
        parts.append(result.stdout)
    return "\n".join(parts)
