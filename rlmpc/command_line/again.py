"""A command that SLURM runs again goes on with the run that it has started."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rlmpc.checkpoint.find import CHECKPOINTS, checkpoints_by_age
from rlmpc.command_line.arguments import read_train
from rlmpc.config.train import RunCfg
from rlmpc.run.folder import job_name, run_of, was_started_here
from rlmpc.run.processes import is_requeued, slurm_job

DROPPED = ("resume", "config", "run.dir", "teacher_ckpt", "student_ckpt", "init_ckpt")
"""Arguments of the first start that say where it starts from and goes to; the rest holds for the run that goes on."""


def goes_on(arguments: Sequence[str]) -> list[str] | None:
    """Return the arguments that go on with what a requeued command has done.

    Args:
        arguments: what was typed, the same as before.

    Returns:
        What was typed, with `resume=` for the run's folder; None if the job is not requeued or has saved nothing yet.
    """
    if not is_requeued():
        return None
    for folder in _candidates(arguments):
        if checkpoints_by_age(folder / CHECKPOINTS) and was_started_here(folder, arguments):
            kept = [argument for argument in arguments if argument.partition("=")[0].strip() not in DROPPED]
            return [*kept, f"resume={folder}"]
    return None


def _candidates(arguments: Sequence[str]) -> list[Path]:
    """Return the folders in which the command may have started a run."""
    given = read_train(arguments)
    if given.get("run.dir") is not None:
        return [Path(given["run.dir"])]
    where = None if given.get("resume") is None else Path(given["resume"])
    if where is not None and where.exists():
        return [where if where.is_dir() else run_of(where) or where]
    job = slurm_job()
    assert job is not None
    return sorted(Path(given.get("run.root", RunCfg().root)).glob(f"*/*/{job_name(job)}*"))
