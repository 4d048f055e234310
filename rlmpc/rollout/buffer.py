"""Preallocated storage of one rollout."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

Tree = Mapping[str, "Tensor | Tree"]
"""Named tensors, nested."""


class RolloutBuffer:
    """T steps of named tensors, nested as they come, each stored as (T, N, ...).

    The first write allocates; every later one copies in place, so that addresses stay the same over iterations.
    """

    def __init__(self, num_steps: int) -> None:
        self.num_steps = num_steps
        self._storage: dict[str, Tensor | Tree] = {}

    def write(self, step: int, values: Tree) -> None:
        """Copy `values`, tensors (N, ...) or mappings of such, to row `step`."""
        self._copy(self._storage, values, step)

    def leave_out(self, rows: Tensor, kept: Collection[str] = ()) -> None:
        """Replace everything by zeros in `rows`, (T, N) bool, but for the top-level names `kept`."""
        self._fill({name: values for name, values in self._storage.items() if name not in kept}, rows)

    def views(self) -> dict[str, Tensor | Tree]:
        """The whole rollout without a copy; valid until the next write."""
        return dict(self._storage)

    def _fill(self, storage: Tree, rows: Tensor) -> None:
        for values in storage.values():
            if isinstance(values, Mapping):
                self._fill(values, rows)
            else:
                values.masked_fill_(rows.view(*rows.shape, *[1] * (values.dim() - 2)), 0)

    def _copy(self, storage: dict[str, Tensor | Tree], values: Tree, step: int) -> None:
        for name, value in values.items():
            if isinstance(value, Mapping):
                nested = storage.setdefault(name, {})
                assert isinstance(nested, dict)
                self._copy(nested, value, step)
                continue
            if name not in storage:
                storage[name] = torch.zeros(self.num_steps, *value.shape, dtype=value.dtype, device=value.device)
            rows = storage[name]
            assert isinstance(rows, Tensor)
            rows[step].copy_(value)
