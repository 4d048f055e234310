"""The solver's two hot loops as one GPU kernel each: an environment's numbers stay in the registers of one block.

The same as the torch code of `curvature.py` and `admm.py`, which is the reference, and runs for horizons that do not
fit into a block; the CPU has `kernels/iterations.py`. As separate kernels, the iterations cost a GPU ten times as much:
each reads and writes a few MB, and a product of many small matrices takes as long as one of large ones.

Rows of a block are the six accelerations of every step, columns the two feet of every step.
"""

# Kernels of Triton are no Python: pyright cannot read them.
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from rlmpc.kernels import within
from rlmpc.mpc.admm import Iterate, Terms

_WARPS_TO_INVERT, _WARPS_TO_ITERATE = 8, 4
"""For a horizon of 10, two blocks fit on a multiprocessor, and no number leaves the registers."""


def inverse_of_inner(constant: Tensor, scaled: Tensor, gains: Tensor) -> Tensor:
    """Return the inverse of S^-1 + G D^-1 G' (B, 6 N, 6 N).

    Args:
        constant: S^-1 (N, 6, N, 6).
        scaled: G D^-1 (B, N, 6, 12).
        gains: G (B, N, 6, 12).
    """
    num_envs, num_steps = gains.shape[:2]
    size = 6 * num_steps
    inverse = torch.empty(num_envs, size, size, device=gains.device)
    arguments = constant.contiguous(), scaled.contiguous(), gains.contiguous()
    # Triton launches on the current device.
    with torch.cuda.device_of(gains):
        _invert[(num_envs,)](
            *arguments, inverse, size=size, rows=triton.next_power_of_2(size), num_warps=_WARPS_TO_INVERT
        )
    return inverse


def iterated(start: Iterate, terms: Terms, relaxation: float, iterations: int) -> Iterate:
    """Return the projected inputs and the multipliers after so many iterations with this over-relaxation."""
    inputs = start.inputs
    num_envs, num_steps = inputs.shape[:2]
    results = [torch.empty_like(inputs, memory_format=torch.contiguous_format) for _ in range(2)]
    with torch.cuda.device_of(inputs):
        _iterate[(num_envs,)](
            *(tensor.contiguous() for tensor in (*start, *terms)),
            *results,
            relaxation,
            iterations=iterations,
            steps=num_steps,
            rows=triton.next_power_of_2(6 * num_steps),
            cols=triton.next_power_of_2(2 * num_steps),
            num_warps=_WARPS_TO_ITERATE,
        )
    return Iterate(*results)


@triton.jit
def _invert(constant, scaled, gains, inverse, size: tl.constexpr, rows: tl.constexpr):
    env = tl.program_id(0).to(tl.int64)
    row = tl.arange(0, rows)
    is_row = row < size
    is_in = is_row[:, None] & is_row[None, :]
    place = row[:, None] * size + row[None, :]
    matrix = tl.load(constant + place, mask=is_in, other=0.0)
    block = tl.zeros((rows, rows), tl.float32)
    own = env * size * 12 + row * 12
    for c in range(12):
        left = tl.load(scaled + own + c, mask=is_row, other=0.0)
        right = tl.load(gains + own + c, mask=is_row, other=0.0)
        block += left[:, None] * right[None, :]
    matrix += tl.where((row // 6)[:, None] == (row // 6)[None, :], block, 0.0)
    # Gauss-Jordan without pivots, which a positive definite matrix does not need.
    for k in range(size):
        in_row, in_column = (row == k)[:, None], (row == k)[None, :]
        across = tl.sum(tl.where(in_row, matrix, 0.0), axis=0)
        down = tl.sum(tl.where(in_column, matrix, 0.0), axis=1)
        pivot = 1.0 / tl.sum(tl.where(row == k, across, 0.0), axis=0)
        swept = matrix - down[:, None] * (across * pivot)[None, :]
        swept = tl.where(in_row, (across * pivot)[None, :], swept)
        swept = tl.where(in_column, -(down * pivot)[:, None], swept)
        matrix = tl.where(in_row & in_column, pivot, swept)
    tl.store(inverse + env * size * size + place, matrix, mask=is_in)


@triton.jit
def _pulled(need, n0, n1, n3, n4, n5, q0, q1, q3, q4, q5):
    """Weighted needs above `need`; see `rlmpc.mpc.constraints.project`."""
    total = q0 * tl.maximum(n0 - need, 0.0) + q1 * tl.maximum(n1 - need, 0.0) + q3 * tl.maximum(n3 - need, 0.0)
    return total + q4 * tl.maximum(n4 - need, 0.0) + q5 * tl.maximum(n5 - need, 0.0)


@triton.jit
def _iterate(
    inputs, multipliers, linear, scaled, inverse, diagonal, penalty, slopes, ceilings,
    inputs_out, multipliers_out, relaxation,
    iterations: tl.constexpr, steps: tl.constexpr, rows: tl.constexpr, cols: tl.constexpr,
):  # fmt: skip
    env = tl.program_id(0).to(tl.int64)
    row, col = tl.arange(0, rows), tl.arange(0, cols)
    is_row, is_col = row < 6 * steps, col < 2 * steps
    is_in = is_row[:, None] & is_row[None, :]
    inner = tl.load(inverse + env * 36 * steps * steps + row[:, None] * 6 * steps + row[None, :], mask=is_in, other=0.0)
    # Gains of each component of a foot's wrench: a foot acts in its own step only.
    acts = is_col[:, None] & is_row[None, :] & ((col // 2)[:, None] == (row // 6)[None, :])
    gain = scaled + env * 72 * steps + row[None, :] * 12 + (col % 2)[:, None] * 6
    a0, a1, a2, a3, a4, a5 = _six(gain, acts)
    foot = env * 12 * steps + col * 6
    u0, y0, g0, p0, d0 = _component(inputs, multipliers, linear, penalty, diagonal, foot, is_col, 0)
    u1, y1, g1, p1, d1 = _component(inputs, multipliers, linear, penalty, diagonal, foot, is_col, 1)
    u2, y2, g2, p2, d2 = _component(inputs, multipliers, linear, penalty, diagonal, foot, is_col, 2)
    u3, y3, g3, p3, d3 = _component(inputs, multipliers, linear, penalty, diagonal, foot, is_col, 3)
    u4, y4, g4, p4, d4 = _component(inputs, multipliers, linear, penalty, diagonal, foot, is_col, 4)
    u5, y5, g5, p5, d5 = _component(inputs, multipliers, linear, penalty, diagonal, foot, is_col, 5)
    slope = slopes + env * 5
    s0, s1, s3 = tl.load(slope), tl.load(slope + 1), tl.load(slope + 2)
    s4, s5 = tl.load(slope + 3), tl.load(slope + 4)
    q0, q1, q3, q4, q5 = p0 * s0 * s0, p1 * s1 * s1, p3 * s3 * s3, p4 * s4 * s4, p5 * s5 * s5
    ceiling = tl.load(ceilings + env * 2 * steps + col, mask=is_col, other=0.0)
    for _ in range(iterations):
        r0, r1, r2 = p0 * (u0 - y0) - g0, p1 * (u1 - y1) - g1, p2 * (u2 - y2) - g2
        r3, r4, r5 = p3 * (u3 - y3) - g3, p4 * (u4 - y4) - g4, p5 * (u5 - y5) - g5
        spread = a0 * r0[:, None] + a1 * r1[:, None] + a2 * r2[:, None]
        spread += a3 * r3[:, None] + a4 * r4[:, None] + a5 * r5[:, None]
        solved = tl.sum(inner * tl.sum(spread, axis=0)[None, :], axis=1)[None, :]
        v0 = u0 + relaxation * (r0 / d0 - tl.sum(a0 * solved, axis=1) - u0) + y0
        v1 = u1 + relaxation * (r1 / d1 - tl.sum(a1 * solved, axis=1) - u1) + y1
        v2 = u2 + relaxation * (r2 / d2 - tl.sum(a2 * solved, axis=1) - u2) + y2
        v3 = u3 + relaxation * (r3 / d3 - tl.sum(a3 * solved, axis=1) - u3) + y3
        v4 = u4 + relaxation * (r4 / d4 - tl.sum(a4 * solved, axis=1) - u4) + y4
        v5 = u5 + relaxation * (r5 / d5 - tl.sum(a5 * solved, axis=1) - u5) + y5
        # The projection; see `rlmpc.mpc.constraints.project`.
        n0, n1, n3 = tl.abs(v0) / s0, tl.abs(v1) / s1, tl.abs(v3) / s3
        n4, n5 = tl.abs(v4) / s4, tl.abs(v5) / s5
        w0 = tl.where(p2 * (n0 - v2) > _pulled(n0, n0, n1, n3, n4, n5, q0, q1, q3, q4, q5), q0, 0.0)
        w1 = tl.where(p2 * (n1 - v2) > _pulled(n1, n0, n1, n3, n4, n5, q0, q1, q3, q4, q5), q1, 0.0)
        w3 = tl.where(p2 * (n3 - v2) > _pulled(n3, n0, n1, n3, n4, n5, q0, q1, q3, q4, q5), q3, 0.0)
        w4 = tl.where(p2 * (n4 - v2) > _pulled(n4, n0, n1, n3, n4, n5, q0, q1, q3, q4, q5), q4, 0.0)
        w5 = tl.where(p2 * (n5 - v2) > _pulled(n5, n0, n1, n3, n4, n5, q0, q1, q3, q4, q5), q5, 0.0)
        total = p2 * v2 + w0 * n0 + w1 * n1 + w3 * n3 + w4 * n4 + w5 * n5
        u2 = within(total / (p2 + w0 + w1 + w3 + w4 + w5), 0.0, ceiling)
        u0 = within(v0, -s0 * u2, s0 * u2)
        u1 = within(v1, -s1 * u2, s1 * u2)
        u3 = within(v3, -s3 * u2, s3 * u2)
        u4 = within(v4, -s4 * u2, s4 * u2)
        u5 = within(v5, -s5 * u2, s5 * u2)
        y0, y1, y2, y3, y4, y5 = v0 - u0, v1 - u1, v2 - u2, v3 - u3, v4 - u4, v5 - u5
    _keep(inputs_out, foot, is_col, u0, u1, u2, u3, u4, u5)
    _keep(multipliers_out, foot, is_col, y0, y1, y2, y3, y4, y5)


@triton.jit
def _six(place, mask):
    x0 = tl.load(place, mask=mask, other=0.0)
    x1 = tl.load(place + 1, mask=mask, other=0.0)
    x2 = tl.load(place + 2, mask=mask, other=0.0)
    x3 = tl.load(place + 3, mask=mask, other=0.0)
    x4 = tl.load(place + 4, mask=mask, other=0.0)
    x5 = tl.load(place + 5, mask=mask, other=0.0)
    return x0, x1, x2, x3, x4, x5


@triton.jit
def _component(inputs, multipliers, linear, penalty, diagonal, foot, is_col, c: tl.constexpr):
    u = tl.load(inputs + foot + c, mask=is_col, other=0.0)
    y = tl.load(multipliers + foot + c, mask=is_col, other=0.0)
    g = tl.load(linear + foot + c, mask=is_col, other=0.0)
    return u, y, g, tl.load(penalty + c), tl.load(diagonal + c)


@triton.jit
def _keep(place, foot, is_col, x0, x1, x2, x3, x4, x5):
    tl.store(place + foot, x0, mask=is_col)
    tl.store(place + foot + 1, x1, mask=is_col)
    tl.store(place + foot + 2, x2, mask=is_col)
    tl.store(place + foot + 3, x3, mask=is_col)
    tl.store(place + foot + 4, x4, mask=is_col)
    tl.store(place + foot + 5, x5, mask=is_col)
