"""Ends training between two iterations, on all ranks after the same one."""

from __future__ import annotations

import signal

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from rlmpc.run.stopping import StopSignals


class StopBetweenIterations(Callback):
    """Ends training after the iteration in which any rank was signalled; the checkpoint callback then saves.

    Args:
        signals: the signals of this process.
    """

    def __init__(self, signals: StopSignals) -> None:
        self._signals = signals
        self._hosts: torch.distributed.ProcessGroup | None = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Replace Lightning's handlers, installed just before, by ours.

        Lightning's would call a collective in the middle of another one, end without saving, or save in mid-iteration.
        """
        self._signals.defer()
        if trainer.world_size > 1 and trainer.strategy.root_device.type == "cuda":
            # GPUs would answer only after all that they still have to do.
            hosts = torch.distributed.new_group(backend="gloo")
            assert isinstance(hosts, torch.distributed.ProcessGroup)
            self._hosts = hosts

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Take signals back from Triton, whose compiler takes them for itself, mostly in a first iteration."""
        self._signals.take()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop all ranks if one of them was signalled."""
        received = int(self._signals.received or 0)
        if trainer.world_size > 1:
            largest = torch.tensor(received)
            torch.distributed.all_reduce(largest, torch.distributed.ReduceOp.MAX, self._hosts)
            received = int(largest)
        if received:
            self._signals.stopped_by = signal.Signals(received)
            trainer.should_stop = True
