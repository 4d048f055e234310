"""What every on-policy learner shares: one batch an epoch, manual optimization, one report an iteration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import lightning as L
import torch
from torch import Tensor

from rlmpc.config.schema import AgentCfg
from rlmpc.learners.metrics import IterationMeans
from rlmpc.networks.normalizer import RunningNormalizer
from rlmpc.networks.policy import GaussianPolicy
from rlmpc.rollout.collector import RolloutPolicy

Metrics = dict[str, tuple[Tensor, Tensor]]
"""Name -> (weighted sum, weight), scalars on the device; every iteration and every rank has the same names."""


class OnPolicyLearner(L.LightningModule):
    """Base of the LightningModules; a subclass has a `policy` and a `training_step`.

    The iteration is `current_epoch`. `report` holds the numbers of the last finished iteration; callbacks may add to it
    until the epoch ends, when it is written to the loggers once.
    """

    policy: GaussianPolicy
    cfg: AgentCfg
    find_unused_parameters: bool = False
    """Whether some backward passes leave out parameters, which DDP must then be told."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.report: dict[str, float] = {}
        self._means: IterationMeans | None = None

    @property
    def rollout_policy(self) -> RolloutPolicy:
        """What acts in the rollouts."""
        return self.policy

    def parameter_groups(self) -> dict[str, tuple[Iterable[torch.nn.Parameter], float]]:
        """Name -> parameters and learning rate."""
        return {"policy": (self.policy.parameters(), self.cfg.learning_rate)}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """One fused Adam whose learning rates are tensors on the device, where a rule may change them."""
        groups = [
            {"params": list(parameters), "name": name, "lr": torch.tensor(lr, device=self.device)}
            for name, (parameters, lr) in self.parameter_groups().items()
        ]
        return torch.optim.Adam(groups, fused=True)

    def descend(self, loss: Tensor) -> Tensor:
        """One optimizer step on all parameters that `loss` reaches, with the gradient of each group clipped.

        Returns:
            Norm of the first group's gradient before clipping.
        """
        optimizer = self.optimizers()
        assert not isinstance(optimizer, list)
        optimizer.zero_grad()
        self.manual_backward(loss)
        max_norm = self.cfg.max_grad_norm
        norms = [torch.nn.utils.clip_grad_norm_(group["params"], max_norm) for group in optimizer.param_groups]
        optimizer.step()
        return norms[0]

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

    def samples(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A rollout (T, N, ...) as flat samples (T N, ...); as it is where the policy has a memory to unroll."""
        memory, ended = batch.pop("memory"), batch.pop("terminated") | batch.pop("truncated")
        return batch | {"memory": memory, "ended": ended} if memory else flatten_time(batch)

    def minibatches(
        self, samples: Mapping[str, Any], num_epochs: int, num_minibatches: int
    ) -> Iterator[dict[str, Any]]:
        """Shuffled minibatches of what `samples` gave, each sample once an epoch.

        Flat samples are shuffled one by one; with a memory, whole environments are, their steps in order.
        """
        memory = samples.get("memory", {})
        timed = {name: values for name, values in samples.items() if name != "memory"}
        dim = 1 if memory else 0
        for _ in range(num_epochs):
            order = torch.randperm(num_rows(memory or samples), device=self.device)
            # Shuffled as a whole and cut afterwards: fewer small kernels than gathering every minibatch.
            pieces = cut(take_rows(timed, order, dim), num_minibatches, dim)
            if not memory:
                yield from pieces
                continue
            for piece, remembered in zip(pieces, cut(take_rows(memory, order), num_minibatches), strict=True):
                yield piece | {"memory": remembered}


def num_rows(batch: Mapping[str, Any]) -> int:
    """B of a nested batch of tensors (B, ...)."""
    first = next(iter(batch.values()))
    return num_rows(first) if isinstance(first, Mapping) else first.shape[0]


def take_rows(batch: Mapping[str, Any], rows: Tensor, dim: int = 0) -> dict[str, Any]:
    """Rows of every tensor in a nested batch, (B, ...), or along another dimension."""
    return {
        name: take_rows(value, rows, dim) if isinstance(value, Mapping) else value.index_select(dim, rows)
        for name, value in batch.items()
    }


def cut(batch: Mapping[str, Any], num_pieces: int, dim: int = 0) -> list[dict[str, Any]]:
    """Every tensor of a nested batch cut into so many pieces along `dim`, without a copy."""
    parts = {
        name: cut(value, num_pieces, dim) if isinstance(value, Mapping) else value.chunk(num_pieces, dim)
        for name, value in batch.items()
    }
    num_cut = min((len(part) for part in parts.values() if part), default=0)
    return [{name: part[i] if part else {} for name, part in parts.items()} for i in range(num_cut)]


def flatten_time(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Every tensor (T, N, ...) of a nested batch as (T N, ...), without a copy."""
    return {
        name: flatten_time(value) if isinstance(value, Mapping) else value.flatten(0, 1)
        for name, value in batch.items()
    }
