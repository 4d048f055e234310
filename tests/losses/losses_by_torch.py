"""The losses of PPO by torch's distributions, as the reference for kernels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from rlmpc.losses.ppo import surrogate_loss, value_loss


def losses_by_torch(
    mean: Tensor,
    std: Tensor,
    value: Tensor,
    action: Tensor,
    old_mean: Tensor,
    old_std: Tensor,
    old_log_prob: Tensor,
    advantage: Tensor,
    old_value: Tensor,
    target: Tensor,
    clip: float,
    clip_value: float | None,
) -> Tensor:
    """What `rlmpc.losses.fused.ppo_losses` returns."""
    today, then = (Normal(*both, validate_args=False) for both in ((mean, std), (old_mean, old_std)))
    surrogate = surrogate_loss(today.log_prob(action).sum(dim=-1), old_log_prob, advantage, clip)
    kl = kl_divergence(then, today).sum(dim=-1).detach()
    return torch.stack([kl, surrogate, value_loss(value, old_value, target, clip_value), today.entropy().sum(dim=-1)])
