"""Curvature of the cost, factorised: what every solver divides by."""

from __future__ import annotations

import torch
from torch import Tensor

from rlmpc.config.installed import compiles_kernels
from rlmpc.mpc.rotations import rotate
from rlmpc.mpc.srb import SingleRigidBody

MAX_STEPS = 10
"""Longest horizon whose matrices fit into a block of a GPU."""


def is_fused(model: SingleRigidBody, gains: Tensor) -> bool:
    """Return whether `rlmpc.mpc.fused` computes with these gains (B, N, 6, 12), instead of torch."""
    fits = gains.dtype == torch.float32 and gains.shape[1] <= MAX_STEPS
    return model.fused and gains.is_cuda and fits and compiles_kernels()


def most_curvature(model: SingleRigidBody, levers: Tensor) -> Tensor:
    """Return the largest eigenvalue of H over R, both feet down at levers (2, 3) in every step; the least is 1."""
    gains = model.gains(levers)
    roots = torch.linalg.cholesky(model.curvature)
    # That of L'(G R^-1 G')L, with S = LL', is the same and half as large.
    inner = torch.einsum("aji,ab,bjk->aibk", roots, (gains / model.effort) @ gains.T, roots)
    return 1.0 + torch.linalg.eigvalsh(inner.flatten(2).flatten(0, 1))[-1]


class Curvature:
    """The matrix D + G'SG, with D diagonal and S that of the model.

    Its inverse is D^-1 - D^-1 G' (S^-1 + G D^-1 G')^-1 G D^-1 (Woodbury), S^-1 is a constant, and G has blocks on its
    diagonal alone. So what is factorised has 6 N rows instead of 12 N.

    Args:
        model: whose S.
        gains: G (B, N, 6, 12).
        diagonal: D (12,).
    """

    def __init__(self, model: SingleRigidBody, gains: Tensor, diagonal: Tensor) -> None:
        self.diagonal = diagonal
        self.scaled = gains / diagonal
        self._scaled_t = self.scaled.mT.contiguous()
        self.inverse = self._inverted(model, gains)

    def _inverted(self, model: SingleRigidBody, gains: Tensor) -> Tensor:
        """Return the inverse of S^-1 + G D^-1 G' (B, 6 N, 6 N), given G (B, N, 6, 12)."""
        constant = model.inverse_curvature
        if is_fused(model, gains):
            # Only where there is a GPU.
            from rlmpc.mpc.fused import inverse_of_inner

            return inverse_of_inner(constant, self.scaled, gains)
        num_steps = gains.shape[1]
        here = torch.eye(num_steps, dtype=gains.dtype, device=gains.device)
        block = (self.scaled @ gains.mT)[:, :, :, None] * here[:, None, :, None]
        inner = (constant + block).flatten(3, 4).flatten(1, 2)
        # The variant that leaves errors to its caller does not wait for the device.
        root = torch.linalg.cholesky_ex(inner).L
        unit = torch.eye(inner.shape[-1], dtype=gains.dtype, device=gains.device)
        inverse_root = torch.linalg.solve_triangular(root, unit.expand_as(root), upper=False)
        return inverse_root.mT @ inverse_root

    def solve(self, right: Tensor) -> Tensor:
        """Return what the matrix takes to `right` (B, N, 12)."""
        inner = rotate(self.scaled, right).flatten(1)
        # A row times the symmetric matrix: on the CPU four times as fast as the matrix times a column.
        inner = (inner[:, None] @ self.inverse).unflatten(-1, (right.shape[1], 6)).squeeze(1)
        return right / self.diagonal - rotate(self._scaled_t, inner)
