"""The losses of PPO as one GPU kernel, and their gradients as another, instead of about a hundred.

The same as the torch code of `ppo.py` and torch's distributions, which is the reference, and runs everywhere else. A
sample's numbers stay in registers; of all that the gradients need besides the samples, two numbers a sample are kept.
"""

# Kernels of Triton are no Python: pyright cannot read them.
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false

from __future__ import annotations

import math
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from rlmpc.kernels import within

_ROWS = 32
"""Samples of a block."""
_LOG_SQRT_2PI: tl.constexpr = tl.constexpr(0.5 * math.log(2.0 * math.pi))


def ppo_losses(
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
    """Return KL divergence, which gives no gradient, surrogate loss, value loss and entropy of every sample.

    Args:
        mean: of the actions under the policy being trained (..., A); this and the next two get gradients.
        std: their standard deviation (..., A).
        value: by the critic being trained (...,).
        action: actions taken (..., A).
        old_mean: their mean under the policy that acted (..., A).
        old_std: their standard deviation then (..., A).
        old_log_prob: their log-probability then, (...,).
        advantage: (...,).
        old_value: value at that time (...,).
        target: return, which the value is to foresee (...,).
        clip: largest change of the probability ratio that is still rewarded.
        clip_value: largest change of a value that is still rewarded; None for no such bound.

    Returns:
        (4, ...) float32.
    """
    matrices = (tensor.flatten(0, -2) for tensor in (action, old_mean, old_std))
    vectors = (tensor.flatten() for tensor in (old_log_prob, advantage, old_value, target))
    trained = mean.flatten(0, -2), std.flatten(0, -2), value.flatten()
    losses = _Losses.apply(*trained, *matrices, *vectors, clip, math.inf if clip_value is None else clip_value)
    assert isinstance(losses, Tensor)
    return losses.view(4, *value.shape)


class _Losses(torch.autograd.Function):
    """What `ppo_losses` returns, of samples in one dimension (B,)."""

    @staticmethod
    def forward(ctx: Any, mean: Tensor, std: Tensor, value: Tensor, *others: Any) -> Tensor:
        *constant, clip, clip_value = others
        constant = [tensor.contiguous() for tensor in constant]
        mean, value, action = mean.contiguous(), value.contiguous(), constant[0]
        # Of all samples alike: rows that are one row.
        std = std if std.stride(-1) == 1 else std.contiguous()
        losses, slopes = mean.new_empty(4, len(mean)), mean.new_empty(2, len(mean))
        ctx.save_for_backward(mean, std, action, slopes)
        _launch(_losses, mean, std, mean, value, *constant, losses, slopes, clip, clip_value)
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        mean, std, action, slopes = ctx.saved_tensors
        gradients = torch.empty_like(mean), torch.empty_like(mean), mean.new_empty(len(mean))
        _launch(_gradients, mean, std, mean, action, slopes, gradient.contiguous(), *gradients)
        return *gradients, *[None] * 9


def _launch(kernel: Any, like: Tensor, std: Tensor, *arguments: Any) -> None:
    """Start a kernel on samples and actions like these (B, A)."""
    num_samples, num_actions = like.shape
    width = triton.next_power_of_2(num_actions)
    # Triton launches on the current device.
    with torch.cuda.device_of(like):
        kernel[(triton.cdiv(num_samples, _ROWS),)](
            std, std.stride(0), *arguments, num_samples, num_actions, rows=_ROWS, width=width
        )


@triton.jit
def _places(num_samples, num_actions, rows: tl.constexpr, width: tl.constexpr):
    """Return the samples of this block, the columns, which samples there are, and the same for their actions."""
    row, col = tl.program_id(0) * rows + tl.arange(0, rows), tl.arange(0, width)
    is_row = row < num_samples
    return row, col, is_row, row[:, None] * num_actions + col[None, :], is_row[:, None] & (col < num_actions)[None, :]


@triton.jit
def _losses(
    std, std_stride, mean, value, action, old_mean, old_std, old_log_prob, advantage, old_value, target,
    losses, slopes, clip, clip_value, num_samples, num_actions, rows: tl.constexpr, width: tl.constexpr,
):  # fmt: skip
    row, col, is_row, place, is_in = _places(num_samples, num_actions, rows, width)
    # What is beyond the last action adds nothing: there, both distributions are the same.
    m0, m1 = tl.load(old_mean + place, mask=is_in, other=0.0), tl.load(mean + place, mask=is_in, other=0.0)
    s0 = tl.load(old_std + place, mask=is_in, other=1.0)
    s1 = tl.load(std + row[:, None] * std_stride + col[None, :], mask=is_in, other=1.0)
    z = (tl.load(action + place, mask=is_in, other=0.0) - m1) / s1
    log_std = tl.log(s1)
    shift, squares = (m0 - m1) / s1, (s0 / s1) * (s0 / s1)
    kl = tl.sum(0.5 * (squares + shift * shift - 1.0 - tl.log(squares)), axis=1)
    log_prob = tl.sum(-0.5 * z * z - log_std, axis=1) - num_actions * _LOG_SQRT_2PI
    entropy = tl.sum(log_std, axis=1) + num_actions * (0.5 + _LOG_SQRT_2PI)

    gain = tl.load(advantage + row, mask=is_row, other=0.0)
    ratio = tl.exp(log_prob - tl.load(old_log_prob + row, mask=is_row, other=0.0))
    plain, clipped = ratio * gain, within(ratio, 1.0 - clip, 1.0 + clip) * gain
    is_clipped = clipped < plain
    surrogate = -tl.where(is_clipped, clipped, plain)

    v, goal = tl.load(value + row, mask=is_row, other=0.0), tl.load(target + row, mask=is_row, other=0.0)
    before = tl.load(old_value + row, mask=is_row, other=0.0)
    is_near = tl.abs(v - before) <= clip_value
    near = tl.where(is_near, v, before + within(v - before, -clip_value, clip_value))
    error, near_error = (v - goal) * (v - goal), (near - goal) * (near - goal)
    slope = 2.0 * (v - goal)
    near_slope = tl.where(is_near, slope, 0.0)
    # As of `torch.max`, which shares the gradient where both are equal.
    value_slope = tl.where(near_error == error, 0.5 * (slope + near_slope), slope)
    value_slope = tl.where(near_error > error, near_slope, value_slope)

    tl.store(losses + row, kl, mask=is_row)
    tl.store(losses + num_samples + row, surrogate, mask=is_row)
    larger = tl.maximum(error, near_error, propagate_nan=tl.PropagateNan.ALL)
    tl.store(losses + 2 * num_samples + row, larger, mask=is_row)
    tl.store(losses + 3 * num_samples + row, entropy, mask=is_row)
    # By the log-probability; what is not a number stays so.
    tl.store(slopes + row, tl.where(is_clipped, 0.0, -1.0) * plain, mask=is_row)
    tl.store(slopes + num_samples + row, value_slope, mask=is_row)


@triton.jit
def _gradients(
    std, std_stride, mean, action, slopes, gradient, mean_out, std_out, value_out,
    num_samples, num_actions, rows: tl.constexpr, width: tl.constexpr,
):  # fmt: skip
    row, col, is_row, place, is_in = _places(num_samples, num_actions, rows, width)
    by_log_prob = tl.load(slopes + row, mask=is_row, other=0.0)
    by_log_prob *= tl.load(gradient + num_samples + row, mask=is_row, other=0.0)
    by_entropy = tl.load(gradient + 3 * num_samples + row, mask=is_row, other=0.0)
    s = tl.load(std + row[:, None] * std_stride + col[None, :], mask=is_in, other=1.0)
    z = (tl.load(action + place, mask=is_in, other=0.0) - tl.load(mean + place, mask=is_in, other=0.0)) / s
    tl.store(mean_out + place, by_log_prob[:, None] * z / s, mask=is_in)
    tl.store(std_out + place, (by_log_prob[:, None] * (z * z - 1.0) + by_entropy[:, None]) / s, mask=is_in)
    by_value = tl.load(slopes + num_samples + row, mask=is_row, other=0.0)
    by_value *= tl.load(gradient + 2 * num_samples + row, mask=is_row, other=0.0)
    tl.store(value_out + row, by_value, mask=is_row)
