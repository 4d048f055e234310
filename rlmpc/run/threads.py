"""How the threads of torch wait on the CPU."""

from __future__ import annotations

import os
import sys

WAIT = "OMP_WAIT_POLICY"
CHOSEN_BY_USER = (WAIT, "OMP_NUM_THREADS", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""Variables with which a user has the say."""


def let_threads_sleep() -> None:
    """Let torch's threads sleep while they wait for each other; call this before torch is imported.

    By default they spin, which takes the cores from every other process: two runs on two cores then take several times
    as long as one after the other. Processes that this one starts do the same.
    """
    if not os.environ.keys() & set(CHOSEN_BY_USER):
        assert "torch" not in sys.modules or os.environ.get("PYTEST_CURRENT_TEST"), "torch has its threads already"
        os.environ[WAIT] = "PASSIVE"
