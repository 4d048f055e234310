"""Means over the samples that count."""

from __future__ import annotations

import torch
from torch import Tensor

FILL_STD = 1.0
"""Fill value for a standard deviation: losses divide by it."""
FILL_LOG_PROB = 1e3
"""Fill value for a log-probability: the ratio of any probability to it is 0."""


def filled(values: Tensor, weight: Tensor, value: float) -> Tensor:
    """Replace `values` (*S, ...) by a fill value where `weight` (*S) is 0, which keeps masked losses finite."""
    counts = (weight > 0.0).view(*weight.shape, *[1] * (values.dim() - weight.dim()))
    return torch.where(counts, values, value)


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Return the mean of `values` (..., *S) weighted by `weight` (*S); 0 if all weights are 0.

    Values of weight 0 must still be finite, and so must their gradients: 0 times infinity is NaN.

    Returns:
        (...,).
    """
    share = weight / weight.sum().clamp(min=1.0)
    return (values * share).sum(dim=tuple(range(-weight.dim(), 0)))


def explained_variance(prediction: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return the share of the variance of `target` that `prediction` explains, weighted by `weight`, all of one shape.

    1 is perfect, 0 is no better than a constant.
    """
    unexplained, total = _variances(torch.stack([target - prediction, target]).flatten(1), weight.flatten())
    return 1.0 - unexplained / total.clamp(min=1e-8)


def _variances(values: Tensor, weight: Tensor) -> Tensor:
    """Return the variances (K,) of `values` (K, B) weighted by `weight` (B,)."""
    return weighted_mean((values - weighted_mean(values, weight).unsqueeze(1)) ** 2, weight)
