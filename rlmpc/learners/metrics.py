"""Means over an iteration's updates, environments and ranks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from rlmpc.learners.ranks import added_over_ranks
from rlmpc.rollout.rollout import Metrics

ROOT = "/rmse"
"""Marks the name of a root mean square."""


def means_of_updates(names: Sequence[str], rows: Tensor) -> Metrics:
    """Sum the numbers of an iteration's updates, `rows` (U, K), under `names` (K); the weight is the number of updates.

    An update with a number that is not finite is left out; a skipped update has one.
    """
    valid = rows.sum(dim=1).isfinite()
    totals = torch.where(valid.unsqueeze(1), rows, 0.0).sum(dim=0)
    return {name: (total, valid.sum().to(rows.dtype)) for name, total in zip(names, totals, strict=True)}


class IterationMeans(Metric):
    """Weighted means under fixed names, added over ranks in one collective and read by the host in one transfer.

    A number with `ROOT` in its name is given squared; the result is the root of its mean.
    """

    full_state_update = False
    sums: Tensor
    """Sums of the weighted values and of the weights, (2, K)."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(dist_sync_fn=added_over_ranks)
        self.names = list(names)
        self.add_state("sums", torch.zeros(2, len(names)), dist_reduce_fx="sum")

    def update(self, values: Metrics) -> None:
        """Add name -> (weighted sum, weight), scalars on this metric's device.

        Raises:
            ValueError: if the names are not those given at construction, as ranks would add different numbers.
        """
        if list(values) != self.names:
            raise ValueError(f"metric names changed: {sorted(set(values) ^ set(self.names))}")
        totals, weights = zip(*values.values(), strict=True)
        self.sums += torch.stack([*totals, *weights]).view(2, -1)

    def compute(self) -> Tensor:
        """Return the means in the order of `names`, NaN where the weight is 0, and the weights, (2, K)."""
        totals, weights = self.sums
        return torch.stack([totals / weights, weights])

    def pop(self) -> Tensor:
        """Return what `compute` gives, and start over."""
        computed = self.compute()
        self.reset()
        return computed

    def named(self, computed: Tensor) -> tuple[dict[str, float], dict[str, float]]:
        """Return the means and the weights that `pop` gave by name, without those of weight 0."""
        means, weights = computed.tolist()
        rows = zip(self.names, means, weights, strict=True)
        observed = {name: (mean, weight) for name, mean, weight in rows if not math.isnan(mean)}
        return (
            {name: math.sqrt(mean) if ROOT in name else mean for name, (mean, _) in observed.items()},
            {name: weight for name, (_, weight) in observed.items()},
        )
