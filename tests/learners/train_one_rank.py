"""Runs `train.py` as one of several processes and leaves what this rank learned in `<folder>/rank<i>.pt`.

torchrun --nproc-per-node=2 tests/learners/train_one_rank.py <folder> <argument of train.py> ...
"""

from __future__ import annotations

import sys
from pathlib import Path

import lightning as L
import torch

import train

if __name__ == "__main__":
    folder, *arguments = sys.argv[1:]
    torch.set_num_threads(1)
    fit = L.Trainer.fit

    def fit_and_save(trainer: L.Trainer, learner: L.LightningModule, **kwargs) -> None:
        fit(trainer, learner, **kwargs)
        state = {"learner": learner.state_dict(), "optimizer": trainer.optimizers[0].state_dict()}
        state |= {"positions": kwargs["datamodule"].env.position, "report": learner.report}
        torch.save(state, Path(folder) / f"rank{trainer.global_rank}.pt")

    L.Trainer.fit = fit_and_save
    train.main(arguments)
