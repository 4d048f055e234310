"""How the threads of torch wait on the CPU."""

from __future__ import annotations

import os

WAIT = "OMP_WAIT_POLICY"
CHOSEN_BY_USER = (WAIT, "OMP_NUM_THREADS", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""Variables with which a user has the say."""


def let_threads_sleep() -> None:
    """Let torch's threads sleep while they wait for work; acts if torch is imported later, also in child processes.

    By default they spin, which takes the cores from other processes: two runs on two cores take several times as long
    as one after the other.
    """
    if not os.environ.keys() & set(CHOSEN_BY_USER):
        os.environ[WAIT] = "PASSIVE"
