"""Buffers that outlive a step: they are made once and change in place, so that recorded graphs may refer to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from rlmpc.networks.tree import leaves, same_tensors, tree_map


class Storage:
    """T rows of samples, written one after another.

    Args:
        num_steps: T.
        device: where the samples are.
    """

    def __init__(self, num_steps: int, device: torch.device) -> None:
        self.parts: dict[str, Any] = {}
        """Trees of tensors (T, ...) by name, made by the first write of each."""
        self._num_steps = num_steps
        # On the device, since a recorded graph sees no number of Python's change.
        self._row = torch.zeros(1, dtype=torch.int64, device=device)

    def start(self, memory: Mapping[str, Tensor]) -> None:
        """Go to the first row; keep a policy's memory (N, ...) from before it as part `memory`."""
        self._row.zero_()
        kept = self.parts.setdefault("memory", copies(memory))
        tree_map(lambda place, values: place.copy_(values), kept, memory)

    def current(self, name: str) -> Tensor:
        """Return a copy of a tensor's current row."""
        return self.parts[name].index_select(0, self._row).squeeze(0)

    def write(self, samples: Mapping[str, Any]) -> None:
        """Copy trees of tensors (...) to the current row."""
        for name, tree in samples.items():
            if name not in self.parts:
                self.parts[name] = tree_map(lambda row: row.new_zeros(self._num_steps, *row.shape), tree)
            for rows, row in zip(leaves(self.parts[name]), leaves(tree), strict=True):
                rows.index_copy_(0, self._row, row.unsqueeze(0))

    def next_row(self) -> None:
        """Go to the next row."""
        self._row += 1


def copies(tensors: Mapping[str, Tensor], device: torch.device | None = None) -> dict[str, Tensor]:
    """Return contiguous copies, on `device` if it is given; names of the same tensor share one copy."""
    same = same_tensors(tensors)
    made = {name: tensors[name].to(device, copy=True).contiguous() for name in set(same.values())}
    return {name: made[first] for name, first in same.items()}
