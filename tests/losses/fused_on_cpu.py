"""Runs PPO's GPU kernels by Triton's interpreter and prints how far losses and gradients are from torch's."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

# Triton asks for it when it is imported, which torch may do.
os.environ["TRITON_INTERPRET"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from torch import Tensor
from torch.distributions import Normal

from rlmpc.losses.fused import ppo_losses
from tests.losses.losses_by_torch import losses_by_torch

CLIP = 0.2


def difference(one: Tensor, other: Tensor) -> float:
    """The largest one, relative to the largest number."""
    return float((one - other).abs().max() / other.abs().max().clamp(min=1e-9))


def main(shape: tuple[int, ...], num_actions: int, clip_value: float | None, is_broken: bool = False) -> None:
    """Print the largest differences, in losses and gradients, and which losses are finite."""
    torch.manual_seed(0)
    mean = torch.randn(*shape, num_actions, requires_grad=True)
    log_std = (0.3 * torch.randn(num_actions)).requires_grad_()
    value = torch.randn(*shape, requires_grad=True)
    old_mean, old_std = mean.detach() + 0.1 * torch.randn_like(mean), torch.ones_like(mean)
    action = old_mean + torch.randn_like(mean)
    old_log_prob = Normal(mean, log_std.exp()).log_prob(action).sum(dim=-1).detach() + 0.3 * torch.randn(shape)
    old_value = value.detach() + 0.3 * torch.randn(shape)
    constant = action, old_mean, old_std, old_log_prob, torch.randn(shape), old_value, torch.randn(shape)
    if is_broken:
        action[0] = torch.nan
        constant[-1][0] = torch.nan
    gradient = torch.randn(4, *shape)
    results = []
    for function in (ppo_losses, losses_by_torch):
        losses = function(mean, log_std.exp().expand_as(mean), value, *constant, CLIP, clip_value)
        results.append((losses.detach(), *torch.autograd.grad((gradient * losses).sum(), (mean, log_std, value))))
    pairs = list(zip(*results, strict=True))
    line = {
        "differences": [difference(one.nan_to_num(), other.nan_to_num()) for one, other in pairs],
        "is_finite": [bool(other.isfinite().all()) for _, other in pairs],
        "is_finite_alike": all(torch.equal(one.isfinite(), other.isfinite()) for one, other in pairs),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main((100,), 30, CLIP)
    main((6, 7), 3, None)
    main((40,), 16, CLIP, is_broken=True)
