"""Means of an iteration, over environments and ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

Metrics = dict[str, tuple[Tensor, Tensor]]
"""Name -> (weighted sum, weight), scalars on the device; every iteration and every rank has the same names."""


def means_of_updates(names: Sequence[str], numbers: Sequence[Tensor]) -> Metrics:
    """What the updates of an iteration report under `names` (K), from the `numbers` (K,) of each.

    An update with a number that is not finite, as those of a skipped one are, is left out.
    """
    rows = torch.stack(list(numbers))
    kept = rows.sum(dim=1).isfinite()
    totals = torch.where(kept.unsqueeze(1), rows, 0.0).sum(dim=0)
    return {name: (total, kept.sum().to(rows.dtype)) for name, total in zip(names, totals, strict=True)}


class IterationMeans(Metric):
    """Weighted means under fixed names, summed over ranks in one collective and read by the host in one transfer."""

    full_state_update = False
    totals: Tensor
    weights: Tensor

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = list(names)
        self.add_state("totals", torch.zeros(len(names)), dist_reduce_fx="sum")
        self.add_state("weights", torch.zeros(len(names)), dist_reduce_fx="sum")

    def update(self, values: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        """Add name -> (weighted sum, weight), scalars on this metric's device.

        Raises:
            ValueError: if the names are not those given at construction; ranks would otherwise add unlike numbers.
        """
        if list(values) != self.names:
            raise ValueError(f"metric names changed: {sorted(set(values) ^ set(self.names))}")
        self.totals += torch.stack([total for total, _ in values.values()])
        self.weights += torch.stack([weight for _, weight in values.values()])

    def compute(self) -> Tensor:
        """Means in the order of `names`; NaN where the weight is 0."""
        return self.totals / self.weights

    def to_host(self) -> dict[str, float]:
        """Means by name, without those of weight 0; then start over."""
        means = torch.atleast_1d(self.compute()).tolist()  # torchmetrics squeezes a single number
        self.reset()
        return {name: mean for name, mean in zip(self.names, means, strict=True) if mean == mean}
