"""Finds the checkpoint that a user means, and reads it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from rlmpc.checkpoint.file import Checkpoint, load_checkpoint
from rlmpc.errors import UserError

WORTHLESS = float("-inf")


def find_checkpoint(where: str, root: Path, algorithms: Collection[str] | None = None) -> Checkpoint:
    """Find the checkpoint that a user means, and read its file once.

    Args:
        where: a file; a run's folder, for its newest checkpoint; `latest`, for the newest below `root`; `best`, for the
            newest run's checkpoint with the highest mean return in its last iteration; or `<folder>/best`.
        root: folder of all runs.
        algorithms: agents that `latest` and `best` may find; None takes any.

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
    """Return the checkpoint below a folder that was written last.

    Raises:
        UserError: if there is none.
    """
    return _by_time(folder)[0]


def checkpoints_by_age(folder: Path) -> list[Path]:
    """Return the checkpoints directly in a folder by iteration, the newest first, without other files and links."""
    numbers = {path: re.fullmatch(r"epoch=(\d+)\.ckpt", path.name) for path in folder.glob("epoch=*.ckpt")}
    found = {path: int(match[1]) for path, match in numbers.items() if match is not None and not path.is_symlink()}
    return sorted(found, key=lambda path: found[path], reverse=True)


def _by_time(folder: Path) -> list[Path]:
    """Return the checkpoints below a folder, the one written last first, without links."""
    found = [path for path in folder.rglob("*.ckpt") if not path.is_symlink()] if folder.is_dir() else []
    if not found:
        raise UserError(f"there is no checkpoint below '{folder}'")
    return sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True)


def _readable(paths: list[Path]) -> Iterator[Checkpoint]:
    """Yield one checkpoint after the other; skip files that cannot be read."""
    for path in paths:
        try:
            yield load_checkpoint(path)
        except UserError:
            continue


def _newest_of(root: Path, algorithms: Collection[str] | None) -> Checkpoint:
    """Return the newest checkpoint below `root` with one of these agents."""
    paths = _by_time(root)
    if algorithms is None:
        return load_checkpoint(paths[0])
    found = next((one for one in _readable(paths) if one.algorithm in algorithms), None)
    if found is None:
        raise UserError(f"there is no checkpoint of {' or '.join(algorithms)} below '{root}'")
    return found


def _best_in(folder: Path, opened: Checkpoint | None = None) -> Checkpoint:
    """Return the checkpoint in a folder with the highest mean return; `opened`, if given, is not read again."""
    best = opened
    for checkpoint in _readable([path for path in _by_time(folder) if opened is None or path != opened.path]):
        if best is None or _mean_return(checkpoint) > _mean_return(best):
            best = checkpoint
    if best is None:
        raise UserError(f"no checkpoint below '{folder}' can be read")
    return best


def _mean_return(checkpoint: Checkpoint) -> float:
    """Return the policy's mean return in its last iteration; `WORTHLESS` if a teacher acted for it."""
    if checkpoint.numbers.get("dagger/teacher_share", 0.0) > 0.0:
        return WORTHLESS
    return checkpoint.numbers.get("episode/return", WORTHLESS)
