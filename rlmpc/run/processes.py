"""Which of several processes this is, by what the launcher that started them has left in the environment."""

from __future__ import annotations

import ctypes
import os
import signal

PR_SET_PDEATHSIG = 1
"""Option of Linux' prctl (linux/prctl.h): the signal that this process gets when its parent ends."""


def local_rank() -> int:
    """Number of this process among those of this machine; 0 when it is alone."""
    slurm = os.environ["SLURM_LOCALID"] if is_slurm_task() else 0
    return int(os.environ.get("LOCAL_RANK", slurm))


def global_rank(num_processes: int) -> int:
    """Number of this process among those of all machines, `num_processes` on each; 0 when it is alone."""
    if "RANK" in os.environ:
        return int(os.environ["RANK"])
    if is_slurm_task():
        return int(os.environ["SLURM_PROCID"])
    return int(os.environ.get("NODE_RANK", 0)) * num_processes + local_rank()


def is_slurm_task() -> bool:
    """Whether SLURM started this process, as Lightning decides it: not torchrun, and not in an interactive job."""
    is_interactive = os.environ.get("SLURM_JOB_NAME") in ("bash", "interactive")
    return "TORCHELASTIC_RUN_ID" not in os.environ and "SLURM_NTASKS" in os.environ and not is_interactive


def slurm_job() -> str | None:
    """The SLURM job that this process is a task of, the same after a requeue; None outside of one."""
    return os.environ.get("SLURM_JOB_ID") if is_slurm_task() else None


def is_requeued() -> bool:
    """Whether SLURM runs this job again, with the same command."""
    return slurm_job() is not None and int(os.environ.get("SLURM_RESTART_COUNT", 0)) > 0


def is_lightning_child() -> bool:
    """Whether Lightning started this process (`trainer.devices=N`) from the first one of this machine."""
    return local_rank() > 0 and "RANK" not in os.environ and not is_slurm_task()


def end_with_launcher() -> None:
    """Have the kernel end this process as soon as the one that launched it has ended, however that came about.

    Without it, processes whose launcher was killed wait for it in a collective, or train on unseen. Linux only, which
    is where the simulator runs; a process that nobody launched is left alone.
    """
    if "LOCAL_RANK" in os.environ:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
