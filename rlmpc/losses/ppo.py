"""Proximal policy optimization (Schulman et al., "Proximal policy optimization algorithms", 2017)."""

from __future__ import annotations

import torch
from torch import Tensor


def surrogate_loss(log_prob: Tensor, old_log_prob: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """Return the negated clipped surrogate objective of every sample: equation 7 of the paper before its mean.

    Args:
        log_prob: log-probability of the actions taken, under the policy being trained, (...,).
        old_log_prob: log-probability of the actions taken, under the policy that acted, (...,).
        advantage: (...,).
        clip: largest change of the probability ratio that is still rewarded.

    Returns:
        (...,) losses.
    """
    ratio = (log_prob - old_log_prob).exp()
    unclipped = ratio * advantage
    # Without a gradient: where this is the smaller one, the ratio is beyond its bounds. So `min` would do, but slower.
    clipped = ratio.detach().clamp(1.0 - clip, 1.0 + clip) * advantage
    return -torch.where(clipped < unclipped, clipped, unclipped)


def value_loss(value: Tensor, old_value: Tensor, target: Tensor, clip: float | None) -> Tensor:
    """Return the squared errors (...,) of `value` (...,) against the return `target` (...,).

    With `clip`, return the larger of this error and the error of the value clipped to within `clip` of `old_value`, as
    in the authors' implementation of PPO.
    """
    error = (value - target) ** 2
    if clip is not None:
        near = old_value + (value - old_value).clamp(-clip, clip)
        error = torch.max(error, (near - target) ** 2)
    return error
