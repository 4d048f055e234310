"""Bias and activation of a layer as one GPU kernel each way, instead of two that read and write as many bytes each.

The same as torch's ELU of a product plus a bias, which is the reference, and runs everywhere else. In the backward
pass, torch reads the gradient a second time to sum it up for the bias; here, it is summed up while it is made.
"""

# Kernels of Triton are no Python: pyright cannot read them.
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

_ROWS, _COLUMNS = 32, 64
"""Of a block at once."""
_PARTS = 8
"""Such blocks below each other, whose sums are added up in registers."""


def biased_elu(product: Tensor, bias: Tensor) -> Tensor:
    """Return the ELU of `product` (B, D) plus a bias (D,), in the memory of the product."""
    result = _BiasedElu.apply(product, bias)
    assert isinstance(result, Tensor)
    return result


class _BiasedElu(torch.autograd.Function):
    """What `biased_elu` does."""

    @staticmethod
    def forward(ctx: Any, product: Tensor, bias: Tensor) -> Tensor:
        ctx.mark_dirty(product)
        _launch(_forward, product, bias, parts=1)
        ctx.save_for_backward(product)
        return product

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        (result,) = ctx.saved_tensors
        by_product = torch.empty_like(result)
        sums = result.new_empty(triton.cdiv(len(result), _ROWS * _PARTS), result.shape[1])
        _launch(_backward, result, gradient.contiguous(), by_product, sums, parts=_PARTS)
        return by_product, sums.sum(dim=0)


def _launch(kernel: Any, matrix: Tensor, *others: Tensor, parts: int) -> None:
    """Start a kernel on a matrix (B, D) and others, each block on so many parts below each other."""
    num_rows, num_columns = matrix.shape
    grid = triton.cdiv(num_rows, _ROWS * parts), triton.cdiv(num_columns, _COLUMNS)
    # Triton launches on the current device.
    with torch.cuda.device_of(matrix):
        kernel[grid](matrix, *others, num_rows, num_columns, rows=_ROWS, columns=_COLUMNS, parts=parts)


@triton.jit
def _forward(
    product, bias, num_rows, num_columns, rows: tl.constexpr, columns: tl.constexpr, parts: tl.constexpr,
):  # fmt: skip
    col = tl.program_id(1) * columns + tl.arange(0, columns)
    is_col = col < num_columns
    shift = tl.load(bias + col, mask=is_col, other=0.0)
    row = tl.program_id(0).to(tl.int64) * rows * parts + tl.arange(0, rows)
    place, is_in = row[:, None] * num_columns + col[None, :], (row < num_rows)[:, None] & is_col[None, :]
    x = tl.load(product + place, mask=is_in, other=0.0) + shift[None, :]
    tl.store(product + place, tl.where(x > 0.0, x, tl.exp(x) - 1.0), mask=is_in)


@triton.jit
def _backward(
    result, gradient, by_product, sums, num_rows, num_columns,
    rows: tl.constexpr, columns: tl.constexpr, parts: tl.constexpr,
):  # fmt: skip
    col = tl.program_id(1) * columns + tl.arange(0, columns)
    is_col = col < num_columns
    total = tl.zeros((rows, columns), tl.float32)
    for part in range(parts):
        row = (tl.program_id(0).to(tl.int64) * parts + part) * rows + tl.arange(0, rows)
        place, is_in = row[:, None] * num_columns + col[None, :], (row < num_rows)[:, None] & is_col[None, :]
        y = tl.load(result + place, mask=is_in, other=0.0)
        slope = tl.load(gradient + place, mask=is_in, other=0.0) * tl.where(y > 0.0, 1.0, y + 1.0)
        tl.store(by_product + place, slope, mask=is_in)
        total += slope
    tl.store(sums + tl.program_id(0) * num_columns + col, tl.sum(total, axis=0), mask=is_col)
