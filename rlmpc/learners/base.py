"""What every on-policy learner shares: one batch an epoch, manual optimization, one report an iteration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import lightning as L
import torch
from torch import Tensor

from rlmpc.learners.metrics import IterationMeans
from rlmpc.networks.normalizer import RunningNormalizer

Metrics = dict[str, tuple[Tensor, Tensor]]
"""Name -> (weighted sum, weight), scalars on the device; every iteration and every rank has the same names."""


class OnPolicyLearner(L.LightningModule):
    """Base of the LightningModules; a subclass has a `policy` and a `training_step`.

    The iteration is `current_epoch`. `report` holds the numbers of the last finished iteration; callbacks may add to it
    until the epoch ends, when it is written to the loggers once.
    """

    policy: torch.nn.Module
    find_unused_parameters: bool = False
    """Whether some backward passes leave out parameters, which DDP must then be told."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.report: dict[str, float] = {}
        self._means: IterationMeans | None = None

    def on_train_epoch_end(self) -> None:
        """Write the report, on the axis of iterations."""
        for logger in self.loggers:
            logger.log_metrics(self.report, step=self.current_epoch)

    def publish(self, metrics: Metrics) -> None:
        """Average name -> (weighted sum, weight) over ranks and make it this iteration's report."""
        if self._means is None:
            self._means = IterationMeans(list(metrics)).to(self.device)
        self._means.update(metrics)
        self.report = self._means.to_host()

    def mean_over_ranks(self, value: Tensor) -> Tensor:
        """Mean of `value` over all ranks, of the same shape."""
        return self.sum_over_ranks(value) / self.trainer.world_size

    def sum_over_ranks(self, value: Tensor) -> Tensor:
        """Sum of `value` over all ranks, of the same shape."""
        if self.trainer.world_size == 1:
            return value
        value = value.clone()
        torch.distributed.all_reduce(value)
        return value

    @torch.no_grad()
    def normalize_over_ranks(self, x: Tensor) -> Tensor:
        """`x` with mean 0 and standard deviation 1 over its elements on all ranks."""
        moments = torch.stack([x.sum(), (x**2).sum(), x.new_tensor(float(x.numel()))]).double()
        total, squares, count = self.sum_over_ranks(moments).unbind()
        mean = total / count
        std = (squares / count - mean**2).clamp(min=0.0).sqrt()
        return ((x - mean) / (std + 1e-8)).to(x.dtype)

    @torch.no_grad()
    def update_normalizers(self, normalizers: torch.nn.ModuleDict, obs: Mapping[str, Tensor]) -> None:
        """Merge the moments of `obs`, groups (..., D_g), over all ranks into their `RunningNormalizer`s."""
        for group, normalizer in normalizers.items():
            assert isinstance(normalizer, RunningNormalizer)
            normalizer.merge(self.sum_over_ranks(normalizer.centred_sums(obs[group])))

    def minibatches(self, batch: Mapping[str, Any], num_epochs: int, num_minibatches: int) -> Iterator[dict[str, Any]]:
        """Shuffled minibatches of a flat `batch` (B, ...), each sample once an epoch."""
        size = num_rows(batch)
        for _ in range(num_epochs):
            for rows in torch.randperm(size, device=self.device).chunk(num_minibatches):
                yield take_rows(batch, rows)


def num_rows(batch: Mapping[str, Any]) -> int:
    """B of a nested batch of tensors (B, ...)."""
    first = next(iter(batch.values()))
    return num_rows(first) if isinstance(first, Mapping) else first.shape[0]


def take_rows(batch: Mapping[str, Any], rows: Tensor) -> dict[str, Any]:
    """Rows of every tensor (B, ...) in a nested batch."""
    return {
        name: take_rows(value, rows) if isinstance(value, Mapping) else value[rows] for name, value in batch.items()
    }


def flatten_time(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Every tensor (T, N, ...) of a nested batch as (T N, ...), without a copy."""
    return {
        name: flatten_time(value) if isinstance(value, Mapping) else value.flatten(0, 1)
        for name, value in batch.items()
    }
