"""The numbers of an iteration, from the device to whoever shows, logs or checks them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

Named = tuple[dict[str, float], dict[str, float]]
"""Means and weights by name."""


class Report:
    """The numbers of one iteration. They are copied while the device goes on; only reading them waits for the copy.

    Args:
        iteration: whose numbers they are.
        values: the numbers on the device.
        named: gives them their names.
    """

    def __init__(self, iteration: int, values: Tensor, named: Callable[[Tensor], Named]) -> None:
        self.iteration = iteration
        self._named_by = named
        # From a GPU to pinned memory, or the copy would not be asynchronous; torch allocates it so.
        self._values = values.to("cpu", non_blocking=True)
        self._arrival = torch.cuda.current_stream(values.device).record_event() if values.is_cuda else None

    @property
    def numbers(self) -> dict[str, float]:
        """Means by name; callbacks may add to them."""
        return self._named[0]

    @property
    def weights(self) -> dict[str, float]:
        """How much each number counts in a mean over iterations; callbacks may add to them."""
        return self._named[1]

    @cached_property
    def _named(self) -> Named:
        if self._arrival is not None:
            self._arrival.synchronize()
        return self._named_by(self._values)


class ReportCallback(Callback):
    """A callback that is given the numbers of every iteration.

    On the CPU that is at the end of the iteration. On a GPU it is when the next rollout is under way, so that the
    device does not wait for the host, or at the end of an iteration that is saved or is the last.
    """

    def on_report(self, trainer: L.Trainer, report: Report) -> None:
        """Show, check or add to the numbers; called before the loggers get them."""
        raise NotImplementedError
