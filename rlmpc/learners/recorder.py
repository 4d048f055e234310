"""Functions that a GPU replays as recorded graphs, and the fixed addresses that these need."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from rlmpc.graphs import Replayed, uses_graphs
from rlmpc.networks.tree import leaves, tree_map


class Recorder:
    """Records functions of trees of tensors that it has brought to fixed addresses.

    Args:
        recording: makes a context that surrounds every recording.
    """

    def __init__(self, recording: Callable[[], AbstractContextManager[Any]]) -> None:
        self._recording = recording
        self._trees: dict[str, Any] = {}
        self._own: set[int] = set()
        self._replayed: dict[str, dict[Hashable, Replayed[Any]]] = {}

    def place[T](self, name: str, tree: T) -> T:
        """Return a tree whose tensors are where those of the last tree of this name were.

        A tensor that stays at its address is not copied, so what a rollout writes in place is not, but what is computed
        anew is. If something has moved, all recordings are forgotten. Without graphs, the tree itself is returned.
        """
        if not uses_graphs(next(leaves(tree)).device):
            return tree
        last = self._trees.get(name)
        placed = tree if last is None else tree_map(self._placed, tree, last)
        if _addresses(placed) != _addresses(last):
            self._replayed.clear()
        self._trees[name] = placed
        return placed

    def call[R](
        self, name: str, variant: Hashable, function: Callable[..., R], device: torch.device, *arguments: Tensor
    ) -> R:
        """Call a function, or replay it; the next call overwrites the result.

        Args:
            name: of the function.
            variant: tells apart what the function does depending on anything else than tensors. Variants share memory:
                one is not called before the results of the others have been used.
            function: may refer to trees that `place` returned, but to no other tensors that are ever replaced.
            device: where the function's tensors are.
            arguments: small tensors, which are copied.
        """
        if not uses_graphs(device):
            return function(*arguments)
        variants = self._replayed.setdefault(name, {})
        key = (variant, *(argument.shape for argument in arguments))
        if key not in variants:
            variants[key] = Replayed(function, device, self._recording, next(iter(variants.values()), None))
        return variants[key](*arguments)

    def _placed(self, values: Tensor, place: Tensor) -> Tensor:
        if values.data_ptr() == place.data_ptr():
            return place
        if place.data_ptr() in self._own:
            return place.copy_(values)
        own = values.clone()
        self._own.add(own.data_ptr())
        return own


def _addresses(tree: Any) -> list[int]:
    return [tensor.data_ptr() for tensor in leaves(tree)]
