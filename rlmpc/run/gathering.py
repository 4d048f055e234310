"""How the processes of a run find each other, and what a process says while it waits for the others."""

from __future__ import annotations

import atexit
import sys
import time
from datetime import timedelta
from typing import NamedTuple

import torch
from lightning.pytorch.strategies import DDPStrategy
from torch.distributed import DistError, TCPStore  # pyright: ignore[reportPrivateImportUsage] # documented there

from rlmpc.errors import RunError
from rlmpc.graphs import forget_recordings
from rlmpc.run.launcher_variables import launcher_name

REMIND_S = 30.0
"""Seconds between two lines of a process that waits."""
ASK_S = 0.1
HERE = "rlmpc/here"
"""Key under which the processes that have come are counted."""


class Meeting(NamedTuple):
    """Where the processes of a run meet, and which of them this one is."""

    address: str
    port: int
    rank: int
    num_processes: int
    num_machines: int
    is_first_of_machine: bool
    """Whether it speaks for its machine."""

    @property
    def place(self) -> str:
        """What a user can set."""
        return f"{self.address}:{self.port} (MASTER_ADDR, MASTER_PORT)"


class GatheringDDPStrategy(DDPStrategy):
    """Lightning's DDP, but a process that waits for others says for whom, and ends with a sentence.

    The learner adds gradients over processes by itself, so its model is not wrapped.

    Args:
        timeout: how long to wait, for the others at the start as well as in a collective.
    """

    def __init__(self, timeout: timedelta) -> None:
        super().__init__(timeout=timeout)
        self._patience = timeout

    def configure_ddp(self) -> None:
        """Let all processes start from the first one's parameters and buffers."""
        assert self.model is not None
        for values in self.model.state_dict().values():
            torch.distributed.broadcast(values, src=0)

    def setup_distributed(self) -> None:
        """Wait for all processes and connect them.

        Raises:
            RunError: if some do not come, or cannot reach each other.
        """
        self.set_world_ranks()
        environment = self.cluster_environment
        assert environment is not None
        meeting = Meeting(
            environment.main_address,
            environment.main_port,
            self.global_rank,
            self.world_size,
            self.num_nodes,
            environment.local_rank() == 0,
        )
        try:
            # What torchrun starts has met already, in a store that torchrun keeps.
            if launcher_name() != "torchrun" and not torch.distributed.is_initialized():
                self._connect(gather(meeting, self._patience))
            super().setup_distributed()
            # What was registered last is called first: recordings go before the connection is closed.
            atexit.register(forget_recordings)
        except RuntimeError as error:
            if isinstance(error, RunError):
                raise
            reason = str(error).splitlines()[0]
            raise RunError(f"the processes of this run cannot be connected at {meeting.place}: {reason}") from error

    def _connect(self, store: TCPStore) -> None:
        """Make the process group as Lightning does, but over this store."""
        backend, device = self._get_process_group_backend(), self.root_device
        torch.distributed.init_process_group(
            backend,
            store=store,
            rank=self.global_rank,
            world_size=self.world_size,
            timeout=self._patience,
            device_id=device if device.type == "cuda" else None,
        )
        if backend == "nccl":
            atexit.register(torch.distributed.destroy_process_group)


def gather(meeting: Meeting, timeout: timedelta) -> TCPStore:
    """Wait until all processes of a run have come.

    Returns:
        The store that they share.

    Raises:
        RunError: if they have not within `timeout`, or the first one cannot open its port.
    """
    deadline = time.monotonic() + timeout.total_seconds()
    store = _shared_store(meeting, deadline)
    store.set_timeout(timeout)
    num_here = store.add(HERE, 1)
    reminder = time.monotonic() + REMIND_S
    while num_here < meeting.num_processes:
        now = time.monotonic()
        missing = f"{num_here} of {meeting.num_processes} processes have come to {meeting.place}"
        if now > deadline:
            raise RunError(f"only {missing} within {timeout.total_seconds():.0f} s")
        if now > reminder:
            reminder = now + REMIND_S
            _remind(meeting, f"waiting: {missing}")
        time.sleep(ASK_S)
        num_here = store.add(HERE, 0)
    return store


def _shared_store(meeting: Meeting, deadline: float) -> TCPStore:
    """Open the store in the first process, or connect to it."""
    while True:
        left_s = deadline - time.monotonic()
        try:
            return TCPStore(
                meeting.address,
                meeting.port,
                meeting.num_processes,
                is_master=meeting.rank == 0,
                timeout=timedelta(seconds=max(1.0, min(REMIND_S, left_s))),
                wait_for_workers=False,
            )
        except (DistError, ValueError) as error:
            reason = str(error).splitlines()[0]
            if "EADDRINUSE" in reason or "EACCES" in reason:
                raise RunError(f"port {meeting.port} (MASTER_PORT) cannot be opened: {reason}") from error
            if left_s < REMIND_S:
                raise RunError(f"the first process cannot be reached at {meeting.place}: {reason}") from error
            _remind(meeting, f"waiting: the first process is not reached yet at {meeting.place}")


def _remind(meeting: Meeting, line: str) -> None:
    by_hand = meeting.num_machines > 1 and launcher_name() == "Lightning"
    hint = "; each machine runs the same command, with its own NODE_RANK" if by_hand else ""
    if meeting.is_first_of_machine:
        print(f"{line}{hint}", file=sys.stderr)
