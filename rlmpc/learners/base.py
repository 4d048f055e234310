"""What every on-policy learner shares: one batch an epoch, manual optimization, one report an iteration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import lightning as L
import torch
from torch import Tensor

from rlmpc.config.agent import AgentCfg
from rlmpc.learners.metrics import IterationMeans, Metrics
from rlmpc.learners.skipped import SkippedUpdates
from rlmpc.networks.normalizer import RunningNormalizer
from rlmpc.networks.policy import GaussianPolicy
from rlmpc.rollout.collector import RolloutPolicy

HARMLESS = {"std": 1.0, "teacher_std": 1.0, "log_prob": 1e3}
"""What stands for the zeros of samples that are left out, so that their losses and gradients are finite, and 0 with
their weight: a spread that can be divided by, and a probability beside which today's vanishes."""

SKIPPED_IN_A_ROW = "skipped_in_a_row"
"""Key in a checkpoint of the length of the run of skipped updates that training stood in."""


class OnPolicyLearner(L.LightningModule):
    """Base of the LightningModules; a subclass has a `policy` and a `training_step`.

    The iteration is `current_epoch`. `numbers` holds those of the last finished iteration; callbacks may add to it
    until the epoch ends, when it is written to the loggers once.
    """

    policy: GaussianPolicy
    cfg: AgentCfg
    find_unused_parameters: bool = False
    """Whether some backward passes leave out parameters, which DDP must then be told."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.numbers: dict[str, float] = {}
        self._means: IterationMeans | None = None
        self._skipped = SkippedUpdates()

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

        A gradient that is not finite leaves parameters and optimizer as they are. Every rank has the same gradient and
        decides alike, on the device.

        Returns:
            Norm of the first group's gradient before clipping; not a number if the step was skipped.
        """
        optimizer = self.optimizers()
        assert not isinstance(optimizer, list)
        optimizer.zero_grad()
        self.manual_backward(loss)
        max_norm = self.cfg.max_grad_norm
        norms = [torch.nn.utils.clip_grad_norm_(group["params"], max_norm) for group in optimizer.param_groups]
        total = sum(norms[1:], norms[0])
        unusable = total - total  # 0, or not a number
        skipped = unusable.nan_to_num(nan=1.0).float()
        # What torch's gradient scaler sets: a fused Adam with a 1 here does nothing, step counters included.
        optimizer.optimizer.found_inf = skipped  # pyright: ignore[reportAttributeAccessIssue]
        optimizer.step()
        self._skipped.add(skipped)
        return norms[0] + unusable

    def on_train_epoch_end(self) -> None:
        """Write the report, on the axis of iterations."""
        for logger in self.loggers:
            logger.log_metrics(self.numbers, step=self.current_epoch)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the run of skipped updates that a resumed training goes on with."""
        checkpoint[SKIPPED_IN_A_ROW] = self._skipped.in_a_row.clone()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the stored run of skipped updates, of which older checkpoints have none, and learning rates."""
        for group in (group for state in checkpoint.get("optimizer_states", ()) for group in state["param_groups"]):
            # Unlike the other numbers of an optimizer, Lightning leaves these on the CPU.
            group["lr"] = group["lr"].to(self.device)
        self._skipped.in_a_row = checkpoint.get(SKIPPED_IN_A_ROW, torch.zeros(()))

    def publish(self, metrics: Metrics) -> None:
        """Average name -> (weighted sum, weight) over ranks and make it, with skipped updates, the report."""
        metrics = metrics | self._skipped.pop_metrics()
        if self._means is None:
            self._means = IterationMeans(list(metrics)).to(self.device)
        self._means.update(metrics)
        self.numbers = self._means.to_host()

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
    def normalize_over_ranks(self, x: Tensor, weight: Tensor) -> Tensor:
        """`x` with mean 0 and standard deviation 1 over its elements on all ranks of which `weight` is 1, not 0."""
        kept = x * weight
        moments = torch.stack([kept.sum(), (kept**2).sum(), weight.sum()]).double()
        total, squares, count = self.sum_over_ranks(moments).unbind()
        count = count.clamp(min=1.0)
        mean = total / count
        std = (squares / count - mean**2).clamp(min=0.0).sqrt()
        return ((x - mean) / (std + 1e-8)).to(x.dtype)

    @torch.no_grad()
    def update_normalizers(self, normalizers: torch.nn.ModuleDict, obs: Mapping[str, Tensor], valid: Tensor) -> None:
        """Merge the moments of `obs`, groups (..., D_g), over all ranks into their `RunningNormalizer`s.

        Where `valid` (...,) is 0, they are zeros and left out.
        """
        num_left_out = valid.numel() - valid.sum()
        for group, normalizer in normalizers.items():
            assert isinstance(normalizer, RunningNormalizer)
            normalizer.merge(self.sum_over_ranks(normalizer.centred_sums(obs[group], num_left_out)))

    def samples(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A rollout (T, N, ...) as flat samples (T N, ...); as it is where the policy has a memory to unroll.

        Its `weight` is 1, or 0 for samples to leave out, of which nothing must be used but `obs` and `ended`.
        """
        left_out = batch["weight"] == 0.0
        for name in HARMLESS.keys() & batch.keys():
            mask = left_out.view(*left_out.shape, *[1] * (batch[name].dim() - 2))
            batch[name] = batch[name].masked_fill(mask, HARMLESS[name])
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
