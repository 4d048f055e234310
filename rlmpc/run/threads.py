"""How many threads torch takes on the CPU."""

from __future__ import annotations

import os

NUMBER = "OMP_NUM_THREADS"
CHOSEN_BY_USER = (NUMBER, "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""Variables with which a user has the say."""


def use_one_thread() -> None:
    """Have torch take one thread, unless the user chose; acts if torch is imported later, also in child processes.

    Physics on the CPU has a single thread, and networks here are small: more threads gain little, and while they wait
    for each other they take the cores from other processes. Numbers do not depend on a machine's cores, either.
    """
    if not os.environ.keys() & set(CHOSEN_BY_USER):
        os.environ[NUMBER] = "1"
