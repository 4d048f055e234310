"""Sums and means over ranks, the processes that train one policy; with one process, of its own values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


def num_ranks() -> int:
    """Return how many processes train together."""
    return torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1


def sum_over_ranks(value: Tensor) -> Tensor:
    """Return the sum of `value` over all ranks, of the same shape."""
    return value if num_ranks() == 1 else added_over_ranks(value, None)[0]


def mean_over_ranks(value: Tensor) -> Tensor:
    """Return the mean of `value` over all ranks, of the same shape."""
    return sum_over_ranks(value) / num_ranks()


def added_over_ranks(values: Tensor, group: Any) -> list[Tensor]:
    """Add `values` over ranks by one `all_reduce`, in the form torchmetrics expects of a gather over ranks."""
    total = values.clone()
    torch.distributed.all_reduce(total, group=group)
    return [total]


def average_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Make every gradient its mean over all ranks, in one collective."""
    if num_ranks() == 1:
        return
    reached = [parameter for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([parameter.grad.flatten() for parameter in reached if parameter.grad is not None])
    flat = mean_over_ranks(flat)
    for parameter, part in zip(reached, flat.split([parameter.numel() for parameter in reached]), strict=True):
        parameter.grad = part.view_as(parameter)


@torch.no_grad()
def normalize_over_ranks(x: Tensor, weight: Tensor) -> Tensor:
    """Shift and scale `x` to mean 0 and standard deviation 1 over all ranks' elements with `weight` 1, not 0.

    Moments are formed in double precision from the start: in single precision the difference of squares loses a
    spread that is small beside the mean.
    """
    weighted, weights = (x * weight).double(), weight.double()
    moments = torch.stack([weighted.sum(), (weighted**2).sum(), weights.sum()])
    total, squares, count = sum_over_ranks(moments).unbind()
    count = count.clamp(min=1.0)
    mean = total / count
    std = (squares / count - mean**2).clamp(min=0.0).sqrt()
    return ((x - mean) / (std + 1e-8)).to(x.dtype)
