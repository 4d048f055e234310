"""Runs `train.py` and lets something happen in the third iteration of one rank.

FAULT="<what> <where> <rank>": a signal or `error`; `rollout` or `update`.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import torch

import train
from rlmpc.learners.base import OnPolicyLearner
from rlmpc.rollout.collector import Collector
from rlmpc.run.command import run_command

CALLS = {"rollout": (Collector, "_count_episodes", 2 * 24 + 5), "update": (OnPolicyLearner, "descend", 2 * 20 + 7)}
"""Where -> class, method and number of the call, with the default agent's steps and minibatches."""


def arm(what: str, where: str) -> None:
    """Let `what` happen just before a certain call."""
    owner, name, number = CALLS[where]
    original: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def faulty(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            happen(what)
        return original(*arguments)

    setattr(owner, name, faulty)


def happen(what: str) -> None:
    """Raise, or send this process a signal."""
    if what == "error":
        raise ZeroDivisionError("on purpose")
    print(f"fault at {time.time()}", flush=True)
    os.kill(os.getpid(), getattr(signal, what))


if __name__ == "__main__":
    torch.set_num_threads(1)
    what, where, rank = os.environ["FAULT"].split()
    if rank == os.environ.get("LOCAL_RANK", "0"):
        arm(what, where)
    run_command(train.main)
