"""Optimizer steps that a GPU replays as recorded graphs, on samples that stay at fixed addresses."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from rlmpc.graphs import Replayed, uses_graphs
from rlmpc.learners.minibatches import Samples, rows
from rlmpc.networks.tree import leaves, tree_map

Numbers = tuple[list[str], Tensor]
"""Names (K) and values (K,) of what a step reports."""


class RecordedStep[S: Samples]:
    """An optimizer step on some rows of samples.

    Args:
        step: takes the step on a minibatch and returns what to report, scalars by name.
        recording: makes a context that surrounds a recording.
    """

    def __init__(
        self, step: Callable[[S], dict[str, Tensor]], recording: Callable[[], AbstractContextManager[Any]]
    ) -> None:
        self._step = step
        self._recording = recording
        self._places = Places[S]()
        self._replayed: dict[Hashable, Replayed[Numbers]] = {}

    def set_samples(self, samples: S) -> None:
        """Take the next steps on rows of these samples."""
        if not self._places.put(samples):
            self._replayed.clear()

    def take(self, order: Tensor, variant: Hashable) -> Numbers:
        """Take a step on the rows `order` (R,).

        Args:
            order: which rows.
            variant: tells apart what the step does depending on anything else than tensors.
        """
        key = (variant, order.shape)
        if key not in self._replayed:
            beside = next(iter(self._replayed.values()), None)
            self._replayed[key] = Replayed(self._on_rows, order.device, self._recording, beside)
        names, values = self._replayed[key](order)
        return names, values.clone()

    def _on_rows(self, order: Tensor) -> Numbers:
        numbers = self._step(rows(self._places.tree, order))
        return list(numbers), torch.stack(list(numbers.values())).detach()


class Places[T]:
    """Brings trees of tensors to fixed addresses, one tree after another.

    A tensor that is at the same address each time stays where it is; any other is copied. So what a rollout writes in
    place is not copied, but what is computed anew is. Without graphs, nothing is copied.
    """

    tree: T
    """The latest tree."""

    def __init__(self) -> None:
        self._own: set[int] = set()
        self._is_empty = True

    def put(self, tree: T) -> bool:
        """Set `tree`, and return whether all of it is where the last one was."""
        before = set() if self._is_empty else {place.data_ptr() for place in leaves(self.tree)}
        recorded = uses_graphs(next(leaves(tree)).device) and not self._is_empty
        self.tree = tree_map(self._placed, tree, self.tree) if recorded else tree
        self._is_empty = False
        return before == {place.data_ptr() for place in leaves(self.tree)}

    def _placed(self, values: Tensor, place: Tensor) -> Tensor:
        if values.data_ptr() == place.data_ptr():
            return place
        if place.data_ptr() in self._own:
            return place.copy_(values)
        own = values.clone()
        self._own.add(own.data_ptr())
        return own
