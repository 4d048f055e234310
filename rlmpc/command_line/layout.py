"""How many processes there are, as the launcher that started them says."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rlmpc.errors import UserError
from rlmpc.run.processes import is_slurm_task


@dataclass(frozen=True)
class Layout:
    """Processes that a launcher has started."""

    launcher: str
    devices: int
    """Processes of each machine."""
    num_nodes: int


def with_layout(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Overrides of a config, and with them what the launcher says of `trainer.devices` and `trainer.num_nodes`.

    Raises:
        UserError: if the overrides say something else.
    """
    layout = started_layout()
    if layout is None:
        return dict(overrides)
    started = {"trainer.devices": layout.devices, "trainer.num_nodes": layout.num_nodes}
    for key, number in started.items():
        if overrides.get(key, number) != number:
            raise UserError(f"{key}={overrides[key]}, but {layout.launcher} started with {number}; leave {key} out")
    return {**overrides, **started}


def started_layout() -> Layout | None:
    """What torchrun or SLURM (srun) has started; None where neither has.

    Raises:
        UserError: for machines with different numbers of processes, or tasks that SLURM does not count by machine.
    """
    if "LOCAL_WORLD_SIZE" in os.environ and "WORLD_SIZE" in os.environ:
        devices, total = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
        if total % devices:
            raise UserError(f"torchrun started {total} processes, of which {devices} here; each machine needs as many")
        return Layout("torchrun", devices, total // devices)
    if is_slurm_task():
        total = int(os.environ["SLURM_NTASKS"])
        if total > 1 and "SLURM_NTASKS_PER_NODE" not in os.environ:
            raise UserError(f"SLURM started {total} tasks; say with --ntasks-per-node how many on each machine")
        devices = int(os.environ.get("SLURM_NTASKS_PER_NODE", 1))
        return Layout("SLURM", devices, int(os.environ.get("SLURM_NNODES", 1)))
    return None
