"""Which process of a run this is and how many there are, read by Lightning from the launcher's variables."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from rlmpc.errors import UserError
from rlmpc.run.launcher_variables import (
    TASKS_PER_MACHINE,
    check_launched,
    check_launcher_variables,
    is_interactive,
    launcher_name,
    tasks_per_machine,
)

if TYPE_CHECKING:
    from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment

PR_SET_PDEATHSIG = 1
"""Option of Linux's prctl (linux/prctl.h): the signal that this process gets when its parent ends."""


class Launcher(NamedTuple):
    """The program that launched a process."""

    name: str
    """`torchrun`, `SLURM` (srun) or `Lightning`."""
    environment: ClusterEnvironment
    """What Lightning reads from its variables."""


def launcher() -> Launcher | None:
    """Return the launcher of this process; None if there was none.

    Raises:
        UserError: if the launcher's variables make no sense.
    """
    check_launcher_variables()
    check_launched()
    name = launcher_name()
    if name is None:
        # Without this check, a command without a launcher would import Lightning, 10 s, to learn that it has none.
        return None
    if name == "SLURM":
        # Lightning reads a plain number.
        os.environ[TASKS_PER_MACHINE] = str(tasks_per_machine())
    return Launcher(name, cluster_environment(name))


def cluster_environment(name: str | None) -> ClusterEnvironment:
    """Return what Lightning reads from the variables of the launcher of this name."""
    from lightning.fabric.plugins.environments.lightning import LightningEnvironment
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
    from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

    if name == "torchrun":
        return TorchElasticEnvironment()
    return SLURMEnvironment() if name == "SLURM" else LightningEnvironment()


def local_rank() -> int:
    """Return the number of this process among those of this machine; 0 if it is alone."""
    found = launcher()
    return 0 if found is None else found.environment.local_rank()


def global_rank(devices: int) -> int:
    """Return the number of this process among those of all machines, `devices` on each; 0 if it is alone."""
    found = launcher()
    if found is None:
        return 0
    name, environment = found
    if name == "Lightning":
        # Lightning itself knows it only once its Trainer exists.
        return environment.node_rank() * devices + environment.local_rank()
    return environment.global_rank()


def check_place(devices: int, num_nodes: int) -> None:
    """Refuse the number of a process or machine that is not below their number.

    Raises:
        UserError: naming the variable and the setting.
    """
    for variable, key, number in (("LOCAL_RANK", "devices", devices), ("NODE_RANK", "num_nodes", num_nodes)):
        if launcher_name() == "Lightning" and int(os.environ.get(variable, 0)) >= number:
            raise UserError(
                f"the environment variable {variable} is '{os.environ[variable]}', but trainer.{key}={number}; "
                f"accepted: a whole number from 0 to {number - 1}"
            )


def with_layout(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Add `trainer.devices` and `trainer.num_nodes` to overrides of a config, as torchrun or SLURM started them.

    Raises:
        UserError: if the overrides have other values, or the machines have different numbers of processes.
    """
    found = launcher()
    if found is None or found.name == "Lightning":
        return dict(overrides)
    name, environment = found
    devices = _processes_of_this_machine(name)
    num_nodes, rest = divmod(environment.world_size(), devices)
    if rest:
        raise UserError(
            f"{name} started {environment.world_size()} processes, of which {devices} here; each machine needs as many"
        )
    machines = int(os.environ.get("SLURM_NNODES", num_nodes))
    if name == "SLURM" and machines != num_nodes:
        raise UserError(f"SLURM started {num_nodes} times {devices} tasks on {machines} machines; each needs as many")
    started = {"trainer.devices": devices, "trainer.num_nodes": num_nodes}
    for key, number in started.items():
        if overrides.get(key, number) != number:
            raise UserError(f"{key}={overrides[key]}, but {name} started with {number}; leave {key} out")
    return {**overrides, **started}


def _processes_of_this_machine(name: str) -> int:
    """Return the number of processes on this machine, for which Lightning's environments have no method."""
    return int(os.environ["LOCAL_WORLD_SIZE"]) if name == "torchrun" else tasks_per_machine()


def slurm_job() -> int | None:
    """Return the number of this process's SLURM job, the same after a requeue; None outside of one.

    A shell in a job, and what torchrun starts in one, is outside of it.
    """
    job = os.environ.get("SLURM_JOB_ID")
    return None if job is None or is_interactive() or launcher_name() == "torchrun" else int(job)


def is_requeued() -> bool:
    """Return whether SLURM has requeued this job and runs its command again."""
    return slurm_job() is not None and int(os.environ.get("SLURM_RESTART_COUNT", 0)) > 0


def is_lightning_child() -> bool:
    """Return whether Lightning started this process (`trainer.devices=N`) from the first one of this machine."""
    # Lightning sets all of them; a user who starts each process may need one.
    is_launched = {"LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys()
    return is_launched and launcher_name() == "Lightning" and os.environ["LOCAL_RANK"] != "0"


def end_with_launcher() -> None:
    """Have the kernel kill this process as soon as its launcher has ended, for whatever reason.

    Otherwise processes whose launcher was killed wait for it in a collective, or go on training unnoticed. Linux only,
    where the simulator runs; a process without a launcher is left alone.
    """
    if "LOCAL_RANK" in os.environ:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
