"""Runs `train.py` as one of several processes and leaves what this rank learned in `<folder>/rank<i>.pt`.

torchrun --nproc-per-node=2 tests/algorithms/train_one_rank.py <folder> <argument of train.py> ...

With NAN_GRADIENT_RANK=<rank>, the actor's gradient on that rank alone is no number in three of the updates.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from unittest.mock import patch

import lightning as L
import torch

import train
from rlmpc.learners.metrics import IterationMeans

SPOILT_UPDATES = (2, 3, 9)
COLLECTIVES = ("all_reduce", "reduce", "broadcast", "barrier", "gather", "all_gather", "all_gather_object")


def spoil_gradients(parameter: torch.nn.Parameter) -> None:
    """Let the gradient of `parameter` be no number in the spoilt updates."""
    updates = count()
    parameter.register_hook(lambda gradient: gradient * torch.nan if next(updates) in SPOILT_UPDATES else gradient)


def watch_collectives() -> list[list[str]]:
    """Note the collectives by which the numbers of an iteration are brought together, iteration by iteration."""
    called: list[list[str]] = []
    original = IterationMeans.pop

    def noted(name: str, collective: Callable) -> Callable:
        return lambda *args, **kwargs: called[-1].append(name) or collective(*args, **kwargs)

    def pop(self: IterationMeans) -> torch.Tensor:
        called.append([])
        watched = {name: noted(name, getattr(torch.distributed, name)) for name in COLLECTIVES}
        with patch.multiple(torch.distributed, **watched):
            return original(self)

    IterationMeans.pop = pop
    return called


if __name__ == "__main__":
    folder, *arguments = sys.argv[1:]
    torch.set_num_threads(1)
    fit = L.Trainer.fit
    collectives = watch_collectives()

    def fit_and_save(trainer: L.Trainer, learner: L.LightningModule, **kwargs) -> None:
        if os.environ.get("NAN_GRADIENT_RANK") == os.environ["RANK"]:
            spoil_gradients(learner.policy.actor[-1].weight)
        fit(trainer, learner, **kwargs)
        state = {"learner": learner.state_dict(), "optimizer": trainer.optimizers[0].state_dict()}
        state |= {"positions": kwargs["datamodule"].env.position, "numbers": learner.numbers}
        state |= {"collectives": collectives}
        torch.save(state, Path(folder) / f"rank{trainer.global_rank}.pt")

    L.Trainer.fit = fit_and_save
    train.main(arguments)
