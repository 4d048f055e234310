"""The folder of a run: where it is, which process may write to it, and what happens to it after an error."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rlmpc.checkpoint.find import checkpoints_by_age
from rlmpc.checkpoint.write import if_offered
from rlmpc.config.train import TrainCfg
from rlmpc.errors import UserError
from rlmpc.run.processes import is_requeued, slurm_job
from rlmpc.run.record import write_record
from rlmpc.run.stopping import how_to_go_on
from rlmpc.run.system_errors import naming_place

if TYPE_CHECKING:
    from rlmpc.checkpoint.file import Checkpoint

TIME = "%Y-%m-%d_%H-%M-%S"
"""Format of a folder's name: the time at which it is made."""

CHECKPOINTS = "checkpoints"
"""Subfolder of a run's folder for checkpoints."""


def run_folder(cfg: TrainCfg) -> Path:
    """Return `run.dir`, or the folder of the run that is resumed, or `<run.root>/<task>/<stage>/<time>`.

    In a SLURM job the job's number replaces the time, so that a requeued job finds its run again.
    """
    if cfg.run.dir is not None:
        return Path(cfg.run.dir)
    resumed = None if cfg.resume is None else run_of(Path(cfg.resume))
    if resumed is not None:
        return resumed
    job = slurm_job()
    name = datetime.now().strftime(TIME) if job is None else f"job_{job}"
    return Path(cfg.run.root) / cfg.task.name / cfg.stage / name


def run_of(checkpoint: Path) -> Path | None:
    """Return the folder of the run that a checkpoint lies in; None if it lies elsewhere."""
    folder = checkpoint.absolute().parent
    is_there = folder.name == CHECKPOINTS and (folder.parent / "config.yaml").is_file()
    return checkpoint.parent.parent if is_there else None


def check_new_folder(folder: Path) -> None:
    """Refuse a run folder that is not empty or cannot be made. Nothing is created.

    Raises:
        UserError: if it is not empty, is a file or cannot be made.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"the run folder '{folder}' is a file")
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"the run folder '{folder}' is not empty; nothing is overwritten, choose another run.dir")
    parent = folder.absolute()
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise UserError(f"the run folder '{folder}' cannot be written: no permission in '{parent}'")


def check_continuable(folder: Path, checkpoint: Path) -> None:
    """Refuse to resume in a run's folder from any checkpoint but the newest: that would mix two runs.

    Raises:
        UserError: if there is a newer one, with what to do instead, or if the folder cannot be written.
    """
    newest = checkpoints_by_age(folder / CHECKPOINTS)[0]
    if newest.name != checkpoint.resolve().name:
        raise UserError(
            f"'{folder}' has a newer checkpoint than '{checkpoint.name}', {newest.name}; resume that one, or branch "
            "off into another folder with run.dir=..."
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"the run folder '{folder}' cannot be written")


@contextmanager
def recorded_run(cfg: TrainCfg, folder: Path, resumed: Checkpoint | None) -> Iterator[Path]:
    """Lock the run's folder while the body runs, and record how the run was started.

    Yields:
        The folder of the record: the run's, or for a resumed run a new one below it.

    Raises:
        UserError: if the folder belongs to another run or cannot be written, or from the body; then what was made here
            is removed.
        RunError: if the operating system refuses a file, such as on a full disk.
    """
    if resumed is not None and run_of(resumed.path) == folder:
        check_continuable(folder, resumed.path)
        record = folder / "resumed" / datetime.now().strftime(TIME)
    else:
        # A job that SLURM requeued before its first checkpoint finds its own files.
        if not is_requeued():
            check_new_folder(folder)
        record = folder
    made = [path for path in (record, *record.parents) if not path.exists()]
    with held(folder), removed_if_refused(record, made):
        try:
            record.mkdir(parents=True, exist_ok=True)
            write_record(record, cfg)
        except OSError as error:
            raise _unwritable(folder, error) from error
        with ends_with_advice(folder), naming_place(folder):
            yield record


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Make the folder of a run and lock it against a second process that would write the same files.

    Raises:
        UserError: if another process has locked it, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("w")
    except OSError as error:
        raise _unwritable(folder, error) from error
    with file:
        try:
            with if_offered(f"lock for '{folder}'", "but nothing keeps a second process from writing there"):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"the run in '{folder}' is still going, in another process") from None
        yield


@contextmanager
def removed_if_refused(record: Path, made: list[Path]) -> Iterator[None]:
    """Remove `record` if the run is refused, and the other folders that were `made` for it, the deepest first.

    A folder with checkpoints is never removed.
    """
    try:
        yield
    except UserError:
        if not (record / CHECKPOINTS).exists():
            shutil.rmtree(record, ignore_errors=True)
            for path in made[1:]:
                path.rmdir()
        raise


@contextmanager
def ends_with_advice(folder: Path) -> Iterator[None]:
    """Add a note on how to resume the run to an error of the body, unless the error refuses the run."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        error.add_note(f"the run ended with an error; {how_to_go_on(folder)}")
        raise


def _unwritable(folder: Path, error: OSError) -> UserError:
    return UserError(f"the run folder '{folder}' cannot be written: {error.strerror}")
