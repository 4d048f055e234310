"""Finds the checkpoint that a user means, and reads it.

Which checkpoint of a run is the newest is told by the iteration inside it, and which run is the latest by the time that
is saved in its checkpoints. Neither names nor the times of files nor links are trusted: copies have others.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from rlmpc.checkpoint.file import Checkpoint, load_checkpoint
from rlmpc.checkpoint.summary import WORTHLESS, Summary, summary_of
from rlmpc.errors import UserError

CHECKPOINTS = "checkpoints"
"""Subfolder of a run's folder for checkpoints."""

NAME = re.compile(r"epoch=(0|[1-9][0-9]*)\.ckpt")
"""Name under which training saves a checkpoint; the number is the index of its iteration."""

MAX_NAMED = 3
"""Largest number of runs named in a message."""

MAX_DEPTH = 8
"""Folders within each other below which no run is looked for; its root may be a whole home folder."""


def find_checkpoint(where: str, root: Path, algorithms: Collection[str] | None = None) -> Checkpoint:
    """Find the checkpoint that a user means, and read its file once.

    Args:
        where: a file; a run's folder, for its newest checkpoint; `latest`, for the newest of the latest run below
            `root`; `best`, for the latest run's checkpoint with the highest success in an evaluation during training,
            or else the highest mean return in its last iteration; or `<folder>/best`.
        root: folder of all runs.
        algorithms: agents that `latest` and `best` may find; None takes any.

    Raises:
        UserError: if there is none, or it cannot be read; a broken file is named with the last whole one beside it.
    """
    path = Path(where)
    try:
        if path.is_file():
            return _opened(path)
        if path.is_dir():
            return newest_in(path)
        if where == "latest":
            return newest_in(_latest_run(root, algorithms))
        if where == "best":
            return _best_in(_latest_run(root, algorithms))
        if path.name == "best" and path.parent.is_dir():
            return _best_in(path.parent)
    except OSError as error:
        raise UserError(f"'{error.filename or where}' cannot be read: {error.strerror}") from error
    raise UserError(f"there is no checkpoint '{where}'; give a file, a run's folder, latest, best or <folder>/best")


def newest_in(folder: Path) -> Checkpoint:
    """Return the checkpoint of a run with the most iterations.

    Args:
        folder: the run's, or that of its checkpoints.

    Raises:
        UserError: if there is none, or the newest is broken, with the last whole one.
    """
    whole, broken = _summaries(folder)
    done = max((summary.iteration for summary in whole), default=0)
    for path in broken:
        # What is inside a broken file cannot be known, so its name counts. Reading it again says what is wrong.
        if _index(path) >= done:
            return _opened(path)
    if not whole:
        raise UserError(f"no checkpoint in '{folder}' can be read")
    try:
        return _opened(whole[0].path)
    except UserError:
        # A run that goes on has removed it meanwhile; it removes old ones only.
        if whole[0].path.exists():
            raise
        return newest_in(folder)


def newer_than(checkpoint: Checkpoint, folder: Path) -> Path | None:
    """Return the newest whole checkpoint in a folder with more iterations than another one; None if there is none."""
    later = [summary.path for summary in _summaries(folder)[0] if summary.iteration > checkpoint.iteration]
    return next((path for path in later if _is_whole(path)), None)


def checkpoints_by_age(folder: Path) -> list[Path]:
    """Return the checkpoints that training saved directly in a folder, the newest first by their names; no links."""
    found = [path for path in folder.glob("epoch=*.ckpt") if _index(path) >= 0 and not path.is_symlink()]
    return sorted(found, key=_index, reverse=True)


def best_evaluated(folder: Path) -> Path | None:
    """Return the best checkpoint directly in a folder, as `best` names it; None if none was evaluated in training."""
    found = [summary for summary in _whole(checkpoints_by_age(folder)) if summary.success > WORTHLESS]
    # Of equal ones the first, which is the newest.
    return max(found, key=lambda one: one.worth).path if found else None


def _whole(paths: Iterable[Path]) -> Iterator[Summary]:
    """Yield the summaries of those files that can be read."""
    for path in paths:
        with suppress(UserError, FileNotFoundError):
            yield summary_of(path)


def _index(path: Path) -> int:
    """Return the index of the iteration in a checkpoint's name; -1 if the name has none."""
    match = NAME.fullmatch(path.name)
    return -1 if match is None else int(match[1])


def _summaries(folder: Path) -> tuple[list[Summary], list[Path]]:
    """Return the summaries of a run's checkpoints, the newest first, and the files that cannot be read.

    Raises:
        UserError: if there is none of either.
    """
    whole, broken = [], []
    for path in _files(folder):
        try:
            whole.append(summary_of(path))
        except UserError:
            broken.append(path)
        except FileNotFoundError:
            continue
    if not whole and not broken:
        runs = sorted(str(run.relative_to(folder)) for run in islice(_runs_below(folder), MAX_NAMED + 1))
        below = f"; runs below it: {', '.join(runs[:MAX_NAMED])}{', ...' * (len(runs) > MAX_NAMED)}" if runs else ""
        raise UserError(f"there is no checkpoint in '{folder}'{below}")
    # Of two files with the same iteration, the one that training named comes first.
    return sorted(whole, key=lambda summary: (summary.iteration, _index(summary.path)), reverse=True), broken


def _files(folder: Path) -> list[Path]:
    """Return the checkpoint files of a run, each once; `folder` is the run's or that of its checkpoints."""
    inner = folder / CHECKPOINTS
    files = [path for path in (inner if inner.is_dir() else folder).glob("*.ckpt") if path.is_file()]
    # Links last, so that they do not replace the files that they lead to.
    files.sort(key=lambda path: path.is_symlink())
    once = {os.path.realpath(path): path for path in reversed(files)}
    return list(once.values())


def _runs_below(root: Path) -> Iterator[Path]:
    """Yield the folders below `root` that are runs or hold checkpoints themselves; links are followed, each once."""
    seen: set[str] = set()
    for name, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(name)
        is_deepest = len(Path(name).relative_to(root).parts) >= MAX_DEPTH
        folders[:] = [] if is_deepest or real in seen else [each for each in folders if not each.startswith(".")]
        if real in seen:
            continue
        seen.add(real)
        if any(file.endswith(".ckpt") for file in files):
            folder = Path(name)
            yield folder.parent if folder.name == CHECKPOINTS and folder != root else folder


def _latest_run(root: Path, algorithms: Collection[str] | None) -> Path:
    """Return the run below `root` whose checkpoints, of one of these agents, were saved last."""
    saved: dict[Path, float] = {}
    has_any = False
    for run in _runs_below(root):
        # Names are good enough to choose the file that tells the time; reading all would take long.
        for path in sorted(_files(run), key=_index, reverse=True):
            has_any = True
            try:
                summary = summary_of(path)
            except (UserError, FileNotFoundError):
                continue
            if algorithms is None or summary.algorithm in algorithms:
                saved[run] = summary.saved_s
            break
    if not saved:
        wanted = " that can be read" if algorithms is None else f" of {' or '.join(algorithms)}"
        raise UserError(f"there is no checkpoint{wanted if has_any else ''} below '{root}'")
    return max(saved, key=lambda run: saved[run])


def _best_in(folder: Path) -> Checkpoint:
    """Return the whole checkpoint of a run with the highest `Summary.worth`, of several the newest."""
    whole, _ = _summaries(folder)
    # Sorting keeps the order of those of the same worth.
    for summary in sorted(whole, key=lambda one: one.worth, reverse=True):
        try:
            return load_checkpoint(summary.path)
        except UserError:
            continue
    raise UserError(f"no checkpoint in '{folder}' can be read")


def _opened(path: Path) -> Checkpoint:
    """Read a checkpoint; if it is broken, the error says which one in its folder is whole."""
    try:
        return load_checkpoint(path)
    except UserError as error:
        raise _with_last_whole(error, path.parent, path) from error


def _with_last_whole(error: UserError, folder: Path, broken: Path) -> UserError:
    """Add the newest whole checkpoint in a folder, if any, to the sentence about a broken one."""
    try:
        whole, _ = _summaries(folder)
    except UserError:
        return error
    found = next((one.path for one in whole if one.path.resolve() != broken.resolve() and _is_whole(one.path)), None)
    return error if found is None else UserError(f"{error}; the last whole one is '{found}'")


def _is_whole(path: Path) -> bool:
    try:
        load_checkpoint(path)
    except UserError:
        return False
    return True
