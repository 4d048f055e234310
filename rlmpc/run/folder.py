"""The folder of a run: where it is, which process may write to it, and what happens to it after an error."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rlmpc.checkpoint.find import CHECKPOINTS, checkpoints_by_age, newer_than
from rlmpc.checkpoint.write import if_offered
from rlmpc.config.train import TrainCfg
from rlmpc.errors import UserError
from rlmpc.run.output import keep_output
from rlmpc.run.processes import is_requeued, slurm_job
from rlmpc.run.record import recorded_arguments, write_record
from rlmpc.run.stopping import how_to_go_on
from rlmpc.run.system_errors import naming_place

if TYPE_CHECKING:
    from rlmpc.checkpoint.file import Checkpoint

LOCK = ".lock"
"""File in a run's folder that is locked while a process writes there."""


class RunFolder(NamedTuple):
    """Folders of a run."""

    path: Path
    """The run's own."""
    record: Path
    """Where this start of it is recorded: `path`, or for a resumed run a folder below it."""


def time_name() -> str:
    """Return the name of a folder that is made now."""
    return datetime.now().strftime("%Y-%m-%d_%H-%M-%S")


def job_name(job: int) -> str:
    """Return the name of the folder of a SLURM job's run, by which the job finds it again after a requeue."""
    return f"job_{job}"


def run_of(checkpoint: Path) -> Path | None:
    """Return the folder of the run that a checkpoint lies in; None if it lies elsewhere."""
    folder = checkpoint.absolute().parent
    is_there = folder.name == CHECKPOINTS and (folder.parent / "config.yaml").is_file()
    return checkpoint.parent.parent if is_there else None


def was_started_here(folder: Path, arguments: Sequence[str]) -> bool:
    """Return whether the same command, with its arguments in any order, has recorded a start in a run's folder."""
    records = (folder, *(folder / "resumed").glob("*"))
    return any(sorted(arguments) == recorded_arguments(record) for record in records)


def is_left_over(folder: Path, arguments: Sequence[str]) -> bool:
    """Return whether a run's folder is what the same command left behind that ended before its first checkpoint."""
    return was_started_here(folder, arguments) and not any((folder / CHECKPOINTS).glob("*.ckpt"))


def check_new_folder(folder: Path) -> None:
    """Refuse a folder that is not empty or cannot be made. Nothing is created.

    Raises:
        UserError: if it is not empty, is a file or cannot be made.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"the run folder '{folder}' is a file")
    if folder.is_dir() and any(path.name != LOCK for path in folder.iterdir()):
        go_on = f", or go on with resume={folder}" if checkpoints_by_age(folder / CHECKPOINTS) else ""
        raise UserError(
            f"the run folder '{folder}' is not empty; nothing is overwritten, choose another run.dir{go_on}"
        )
    parent = folder.absolute()
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise UserError(f"the run folder '{folder}' cannot be written: no permission in '{parent}'")


def check_continuable(folder: Path, checkpoint: Checkpoint) -> None:
    """Refuse to resume in a run's folder from any checkpoint but the newest whole one: that would mix two runs.

    Raises:
        UserError: if there is a newer one, with what to do instead, or if the folder cannot be written.
    """
    newest = newer_than(checkpoint, folder)
    if newest is not None:
        raise UserError(
            f"'{folder}' has a newer checkpoint than '{checkpoint.path.name}', {newest.name}; resume that one, or "
            "branch off into another folder with run.dir=..."
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"the run folder '{folder}' cannot be written")


@contextmanager
def recorded_run(cfg: TrainCfg, arguments: Sequence[str], resumed: Checkpoint | None) -> Iterator[RunFolder]:
    """Make the run's folder, lock it while the body runs, and record how the run was started and what it says.

    The folder is `run.dir`, or that of the run that is resumed, or a new one at `<run.root>/<task>/<stage>/<time>`, in
    a SLURM job with the job's number for the time. A folder in which the same command was started before, but ended
    without a checkpoint, is taken again.

    Args:
        cfg: the run's config.
        arguments: what was typed.
        resumed: the checkpoint that the run resumes from.

    Raises:
        UserError: if the folder belongs to another run or cannot be written, or from the body; then what was made here
            is removed.
        RunError: if the operating system refuses a file, such as on a full disk.
    """
    continued = None if resumed is None else run_of(resumed.path)
    exact = continued if cfg.run.dir is None else Path(cfg.run.dir)
    parent, job = Path(cfg.run.root) / cfg.task.name / cfg.stage, slurm_job()
    name = time_name() if job is None else job_name(job)
    if exact is None and is_requeued():
        exact = next((path for path in sorted(parent.glob(f"{name}*")) if is_left_over(path, arguments)), None)
    with ExitStack() as stack:
        if exact is None:
            folder = stack.enter_context(new_folder(parent, name))
            stack.enter_context(held(folder))
            record = folder
        elif resumed is not None and continued is not None and exact.resolve() == continued.resolve():
            folder = exact
            check_continuable(folder, resumed)
            stack.enter_context(held(folder))
            record = stack.enter_context(new_folder(folder / "resumed", time_name()))
        else:
            folder = record = exact
            if not is_left_over(folder, arguments):
                check_new_folder(folder)
            stack.enter_context(made_folder(folder))
            stack.enter_context(held(folder))
        try:
            write_record(record, cfg, arguments)
        except OSError as error:
            raise unwritable(folder, error) from error
        stack.enter_context(ends_with_advice(folder))
        stack.enter_context(naming_place(folder))
        keep_output(record)
        yield RunFolder(folder, record)


@contextmanager
def new_folder(parent: Path, name: str) -> Iterator[Path]:
    """Make a folder that no other process has made: `name`, or if that is taken `name_2` and so on.

    It is removed again, with its contents, if the body refuses the run.

    Raises:
        UserError: if it cannot be made, or from the body.
    """
    with made_folder(parent):
        for number in count(1):
            folder = parent / (name if number == 1 else f"{name}_{number}")
            try:
                folder.mkdir()
                break
            except FileExistsError:
                continue
            except OSError as error:
                raise unwritable(folder, error) from error
        with removed_if_refused(folder, [folder]):
            yield folder


@contextmanager
def made_folder(folder: Path) -> Iterator[None]:
    """Make a folder and those above it; if the body refuses the run, what is added and made is removed again.

    Raises:
        UserError: if it cannot be made, or from the body.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    with removed_if_refused(folder, made):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(folder, error) from error
        yield


@contextmanager
def removed_if_refused(folder: Path, made: Sequence[Path]) -> Iterator[None]:
    """Remove what the body adds to a folder if it is refused; then, if they are empty, the folders that were `made`.

    Where there is a checkpoint, nothing is removed.

    Args:
        folder: the folder.
        made: folders that did not exist before, the deepest first.
    """
    before = set(folder.rglob("*"))
    try:
        yield
    except UserError:
        added = sorted(set(folder.rglob("*")) - before, reverse=True)
        if not any(path.suffix == ".ckpt" for path in added):
            for path in added:
                with suppress(OSError):
                    path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        raise
    finally:
        with suppress(OSError):
            for path in made:
                path.rmdir()


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Lock the folder of a run against a second process that would write the same files.

    Raises:
        UserError: if another process has locked it, or it cannot be written.
    """
    try:
        file = (folder / LOCK).open("w")
    except OSError as error:
        raise unwritable(folder, error) from error
    with file:
        try:
            with if_offered(f"lock for '{folder}'", "but nothing keeps a second process from writing there"):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"the run in '{folder}' is still going, in another process") from None
        yield


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


def unwritable(folder: Path, error: OSError) -> UserError:
    """Return the error for a folder that cannot be written."""
    return UserError(f"the run folder '{folder}' cannot be written: {error.strerror}")
