"""Means over the samples that count."""

from __future__ import annotations

from torch import Tensor


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Mean of `values` (..., *S) with `weight` (*S), of which some may be 0; 0 where all are.

    What has no weight must still be finite, in value and gradient: 0 times infinity is not a number.

    Returns:
        (...,).
    """
    share = weight / weight.sum().clamp(min=1.0)
    return (values * share).sum(dim=tuple(range(-weight.dim(), 0)))


def explained_variance(prediction: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Share of the variance of `target` that `prediction` explains, over samples of `weight`, (B,) each.

    1 is perfect, 0 no better than a constant.
    """
    return 1.0 - _variance(target - prediction, weight) / _variance(target, weight).clamp(min=1e-8)


def _variance(values: Tensor, weight: Tensor) -> Tensor:
    return weighted_mean((values - weighted_mean(values, weight)) ** 2, weight)
