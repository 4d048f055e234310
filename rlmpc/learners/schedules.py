"""Schedules: functions of the iteration alone, which a resumed run cannot lose, and the adaptive learning rate."""

from __future__ import annotations

import torch
from torch import Tensor


def ramp(iteration: int, start: int, length: int, final: float) -> float:
    """Return 0 until iteration `start`, then rise linearly to `final` over `length` iterations and stay there."""
    if iteration < start:
        return 0.0
    return final * min((iteration - start) / length, 1.0) if length > 0 else final


def is_nth(iteration: int, every: int) -> bool:
    """Return whether `iteration`, counted from 0, is the last of a group of `every`."""
    return (iteration + 1) % every == 0


def adapt_lr(lr: Tensor, kl: Tensor, target: float, bounds: tuple[float, float], factor: float = 1.5) -> Tensor:
    """Adapt the learning rate to keep the KL divergence of an update near `target`.

    The rate is divided by `factor` if the KL divergence is above twice the target, and multiplied by it below half the
    target. A KL of exactly 0 (nothing learned yet in this iteration) leaves the rate as it is. All tensors are scalars;
    the host reads nothing.
    """
    slower = torch.where(kl > 2.0 * target, lr / factor, lr)
    faster = torch.where((kl < 0.5 * target) & (kl > 0.0), lr * factor, slower)
    return faster.clamp(*bounds)
