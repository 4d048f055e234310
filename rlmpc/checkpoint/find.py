"""Finds the checkpoint that a user means, and reads it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from rlmpc.checkpoint.file import Checkpoint, load_checkpoint
from rlmpc.errors import UserError

WORTHLESS = float("-inf")


def find_checkpoint(where: str, root: Path, algorithms: Collection[str] | None = None) -> Checkpoint:
    """The checkpoint that a user means; its file is read once.

    Args:
        where: a file; a run's folder, which means its newest checkpoint; `latest`, the newest below `root`; `best`,
            that of the newest run with the highest mean return in its last iteration; or `<folder>/best`.
        root: folder of all runs.
        algorithms: agents that `latest` and `best` may mean; None takes any.

    Raises:
        UserError: if there is none, or it cannot be read.
    """
    path = Path(where)
    if path.is_file():
        return load_checkpoint(path)
    if path.is_dir():
        return load_checkpoint(newest_in(path))
    if where == "latest":
        return _newest_of(root, algorithms)
    if where == "best":
        newest = _newest_of(root, algorithms)
        return _best_in(newest.path.parent, newest)
    if path.name == "best":
        return _best_in(path.parent)
    raise UserError(f"there is no checkpoint '{where}'; give a file, a run's folder, latest, best or <folder>/best")


def newest_in(folder: Path) -> Path:
    """The checkpoint below a folder that was written last.

    Raises:
        UserError: if there is none.
    """
    return _by_time(folder)[0]


def checkpoints_by_age(folder: Path) -> list[Path]:
    """Checkpoints directly in a folder by their iteration, the newest first; other files and links are left out."""
    numbers = {path: re.fullmatch(r"epoch=(\d+)\.ckpt", path.name) for path in folder.glob("epoch=*.ckpt")}
    found = {path: int(match[1]) for path, match in numbers.items() if match is not None and not path.is_symlink()}
    return sorted(found, key=lambda path: found[path], reverse=True)


def _by_time(folder: Path) -> list[Path]:
    """Files below a folder, the one written last first; links are left out."""
    found = [path for path in folder.rglob("*.ckpt") if not path.is_symlink()] if folder.is_dir() else []
    if not found:
        raise UserError(f"there is no checkpoint below '{folder}'")
    return sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True)


def _readable(paths: list[Path]) -> Iterator[Checkpoint]:
    """One checkpoint after the other; files that cannot be read are passed over."""
    for path in paths:
        try:
            yield load_checkpoint(path)
        except UserError:
            continue


def _newest_of(root: Path, algorithms: Collection[str] | None) -> Checkpoint:
    """The newest below `root` with one of these agents."""
    paths = _by_time(root)
    if algorithms is None:
        return load_checkpoint(paths[0])
    found = next((one for one in _readable(paths) if one.algorithm in algorithms), None)
    if found is None:
        raise UserError(f"there is no checkpoint of {' or '.join(algorithms)} below '{root}'")
    return found


def _best_in(folder: Path, opened: Checkpoint | None = None) -> Checkpoint:
    """That with the highest mean return of those in a folder, one of which may have been opened already."""
    best = opened
    for checkpoint in _readable([path for path in _by_time(folder) if opened is None or path != opened.path]):
        if best is None or _mean_return(checkpoint) > _mean_return(best):
            best = checkpoint
    if best is None:
        raise UserError(f"no checkpoint below '{folder}' can be read")
    return best


def _mean_return(checkpoint: Checkpoint) -> float:
    """What the policy earned in its last iteration; of no worth where a teacher acted for it."""
    if checkpoint.numbers.get("dagger/teacher_share", 0.0) > 0.0:
        return WORTHLESS
    return checkpoint.numbers.get("episode/return", WORTHLESS)
