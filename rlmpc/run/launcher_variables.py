"""What launchers put into the environment of a process, checked before anything reads it."""

from __future__ import annotations

import os
import re
import shutil
from typing import NamedTuple

from rlmpc.errors import UserError

LARGEST = 999_999_999
"""No launcher has numbers with more digits."""
LAST_PORT = 65_535
FIRST_SPECIAL_STEP = 4_294_967_280
"""SLURM's numbers of steps that are none of srun's: the batch script's, an interactive shell's."""


class Range(NamedTuple):
    """The whole numbers that a variable may have."""

    least: int = 0
    most: int = LARGEST
    below: str | None = None
    """Another variable, which is larger wherever it is given too."""


RANGES: dict[str, Range] = {
    # torchrun, and what Lightning and torch read without one
    "WORLD_SIZE": Range(least=1),
    "RANK": Range(below="WORLD_SIZE"),
    "LOCAL_WORLD_SIZE": Range(least=1),
    "LOCAL_RANK": Range(below="LOCAL_WORLD_SIZE"),
    "GROUP_RANK": Range(),
    "NODE_RANK": Range(),
    "MASTER_PORT": Range(most=LAST_PORT),
    "STANDALONE_PORT": Range(most=LAST_PORT),
    "JSM_NAMESPACE_RANK": Range(),
    # SLURM
    "SLURM_NTASKS": Range(least=1),
    "SLURM_PROCID": Range(below="SLURM_NTASKS"),
    "SLURM_NNODES": Range(least=1),
    "SLURM_NODEID": Range(below="SLURM_NNODES"),
    "SLURM_LOCALID": Range(),
    "SLURM_JOB_ID": Range(most=2**32 - 1),
    "SLURM_STEP_ID": Range(most=2**32 - 1),
    "SLURM_STEPID": Range(most=2**32 - 1),
    "SLURM_RESTART_COUNT": Range(),
    "SLURM_ARRAY_JOB_ID": Range(most=2**32 - 1),
    "SLURM_ARRAY_TASK_ID": Range(),
}
"""Every variable with a number that Lightning, Isaac Lab or a module of ours reads."""

NEEDED = {
    "torchrun": ("WORLD_SIZE", "RANK", "LOCAL_WORLD_SIZE", "LOCAL_RANK"),
    "SLURM": ("SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID"),
}
"""Launcher -> variables of which each of its processes has all."""

TASKS_PER_MACHINE = "SLURM_NTASKS_PER_NODE"
INTERACTIVE = ("bash", "interactive")
"""Names of SLURM jobs that are shells, in which Lightning is its own launcher."""


def check_launcher_variables() -> None:
    """Refuse numbers from launchers that make no sense, whether or not this process has that launcher.

    Raises:
        UserError: naming the variable and what is accepted.
    """
    for name, accepted in RANGES.items():
        text = os.environ.get(name)
        if text is None:
            continue
        larger = os.environ.get(accepted.below or "", "")
        most = int(larger) - 1 if _is_number(larger) and int(larger) > 0 else accepted.most
        if not _is_number(text) or not accepted.least <= int(text) <= most:
            up_to = f"from {accepted.least} to {most}" if most < LARGEST else f"of at least {accepted.least}"
            reason = f", since {accepted.below}={larger}" if most < accepted.most else ""
            raise UserError(f"the environment variable {name} is '{text}'; accepted: a whole number {up_to}{reason}")
    if not os.environ.get("MASTER_ADDR", "somewhere").strip():
        raise UserError("the environment variable MASTER_ADDR is empty; accepted: the name or address of a machine")


def launcher_name() -> str | None:
    """Return `torchrun`, `SLURM` (srun) or `Lightning`, which also stands for a user who starts each process; or None.

    In Lightning's own order: torchrun may itself be started by SLURM.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return "torchrun"
    if is_started_by_srun():
        return "SLURM"
    return "Lightning" if {"LOCAL_RANK", "NODE_RANK"} & os.environ.keys() else None


def is_started_by_srun() -> bool:
    """Return whether this process is a task of srun's, not the batch script of a job or a shell in it."""
    if "SLURM_NTASKS" not in os.environ or is_interactive():
        return False
    step = os.environ.get("SLURM_STEP_ID", os.environ.get("SLURM_STEPID", str(FIRST_SPECIAL_STEP)))
    # Only srun starts tasks after the first.
    return int(step) < FIRST_SPECIAL_STEP or os.environ.get("SLURM_PROCID", "0") != "0"


def is_interactive() -> bool:
    """Return whether this process runs in a shell that SLURM started."""
    return os.environ.get("SLURM_JOB_NAME") in INTERACTIVE


def tasks_per_machine() -> int:
    """Return how many tasks SLURM started on each machine; `2(x3)` stands for `2,2,2`.

    Raises:
        UserError: if that is not said, has another form, or the machines have different numbers.
    """
    num_tasks = int(os.environ["SLURM_NTASKS"])
    if num_tasks == 1:
        # The number may be that of a job which has more, of which srun started one.
        return 1
    text = os.environ.get(TASKS_PER_MACHINE)
    if text is None:
        raise UserError(f"SLURM started {num_tasks} tasks; say with --ntasks-per-node how many on each machine")
    groups = [re.fullmatch(r"([0-9]{1,9})(\(x[0-9]{1,9}\))?", group) for group in text.split(",")]
    numbers = {int(group[1]) for group in groups if group is not None}
    if None in groups or 0 in numbers:
        raise UserError(
            f"the environment variable {TASKS_PER_MACHINE} is '{text}'; accepted: a number such as 4 or 4(x2)"
        )
    if len(numbers) > 1:
        raise UserError(
            f"SLURM started different numbers of tasks on the machines ({text}); each machine needs as many"
        )
    number = numbers.pop()
    if int(os.environ["SLURM_LOCALID"]) >= number:
        given = os.environ["SLURM_LOCALID"]
        raise UserError(f"the environment variable SLURM_LOCALID is '{given}', but {TASKS_PER_MACHINE} is '{text}'")
    return number


def srun_hint() -> str | None:
    """Return what Lightning says where srun is at hand but did not start this process; None elsewhere."""
    if launcher_name() is not None or is_interactive() or shutil.which("srun") is None:
        return None
    return (
        "srun is at hand but did not start this command, so it is only one process; to use it: srun python train.py ..."
    )


def check_launched() -> None:
    """Refuse a process whose launcher has left out a variable, or that is one of several tasks which nobody started.

    Raises:
        UserError: naming the variable, or srun.
    """
    launcher = launcher_name()
    for name in NEEDED.get(launcher or "", ()):
        if name not in os.environ:
            raise UserError(f"{launcher} started this process, but the environment variable {name} is missing")
    num_tasks = int(os.environ.get("SLURM_NTASKS", 1))
    if launcher is None and num_tasks > 1 and not is_interactive():
        raise UserError(
            f"SLURM gave this job {num_tasks} tasks, but srun did not start this command, so it is only one process; "
            "put srun before it: srun python train.py ..., or srun --ntasks=1 for one process"
        )


def _is_number(text: str) -> bool:
    return re.fullmatch("[0-9]{1,10}", text) is not None
