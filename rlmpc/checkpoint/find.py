"""Finds the checkpoint that a user means."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from rlmpc.checkpoint.file import load_checkpoint
from rlmpc.errors import UserError


def find_checkpoint(where: str, root: Path, algorithms: Collection[str] | None = None) -> Path:
    """The file that a user means.

    Args:
        where: a file; a run's folder, which means its newest checkpoint; `latest`, the newest below `root`; `best`,
            that of the newest run with the highest mean return in its last iteration; or `<folder>/best`.
        root: folder of all runs.
        algorithms: agents that `latest` and `best` may mean; None takes any.

    Raises:
        UserError: if there is none.
    """
    path = Path(where)
    if path.is_file():
        return path
    if path.is_dir():
        return _newest(_checkpoints_in(path))
    if where == "latest":
        return _newest_of(root, algorithms)
    if path.name == "best":
        folder = _newest_of(root, algorithms).parent if where == "best" else path.parent
        return max(_checkpoints_in(folder), key=_mean_return)
    raise UserError(f"there is no checkpoint '{where}'; give a file, a run's folder, latest, best or <folder>/best")


def checkpoints_by_age(folder: Path) -> list[Path]:
    """Checkpoints directly in a folder by their iteration, the newest first; other files and links are left out."""
    numbers = {path: re.fullmatch(r"epoch=(\d+)\.ckpt", path.name) for path in folder.glob("epoch=*.ckpt")}
    found = {path: int(match[1]) for path, match in numbers.items() if match is not None and not path.is_symlink()}
    return sorted(found, key=lambda path: found[path], reverse=True)


def _checkpoints_in(folder: Path) -> list[Path]:
    """Files below a folder, links left out."""
    found = [path for path in folder.rglob("*.ckpt") if not path.is_symlink()] if folder.is_dir() else []
    if not found:
        raise UserError(f"there is no checkpoint below '{folder}'")
    return found


def _newest(paths: list[Path]) -> Path:
    return max(paths, key=lambda path: path.stat().st_mtime_ns)


def _newest_of(root: Path, algorithms: Collection[str] | None) -> Path:
    """The newest file below `root` with one of these agents; files that cannot be read are passed over."""
    paths = _checkpoints_in(root)
    if algorithms is None:
        return _newest(paths)
    for path in sorted(paths, key=lambda path: path.stat().st_mtime_ns, reverse=True):
        try:
            if load_checkpoint(path).algorithm in algorithms:
                return path
        except UserError:
            continue
    raise UserError(f"there is no checkpoint of {' or '.join(algorithms)} below '{root}'")


def _mean_return(path: Path) -> float:
    """What the policy earned in its last iteration; of no worth where a teacher acted for it, or in a damaged file."""
    worthless = float("-inf")
    try:
        numbers = load_checkpoint(path).numbers
    except UserError:
        return worthless
    return worthless if numbers.get("dagger/teacher_share", 0.0) > 0.0 else numbers.get("episode/return", worthless)
