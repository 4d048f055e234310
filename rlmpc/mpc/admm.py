"""The alternating direction method of multipliers with a fixed penalty and a fixed number of iterations.

One copy of the inputs, u, minimises the cost and the distance to the other; the other, z, satisfies the constraints
(Stellato et al., "OSQP: an operator splitting solver for quadratic programs", 2020, with the feet's cones in place of
their box). In multipliers y of u = z over the penalty P, and with over-relaxation alpha:

    u  = (H + P)^-1 (P (z - y) - g)
    v  = alpha u + (1 - alpha) z + y
    z+ = the nearest to v in the cones
    y+ = v - z+

H + P = D + G'SG with D diagonal, so its inverse is D^-1 - D^-1 G' (S^-1 + G D^-1 G')^-1 G D^-1 (Woodbury), and what is
factorised has 6 N rows instead of 12 N. There is no branch, so a GPU can record all of it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from rlmpc.mpc.constraints import FootCone
from rlmpc.mpc.settings import MpcSettings
from rlmpc.mpc.srb import Problem, SingleRigidBody


class Iterate(NamedTuple):
    """Where a solve ends, and the next one begins."""

    inputs: Tensor
    """Feasible (B, N, 12)."""
    multipliers: Tensor
    """Over the penalty (B, N, 12)."""
    residual: Tensor
    """Largest disagreement of both copies, or change in the last iteration, in inputs (B,)."""


class Curvature:
    """H plus a diagonal, factorised.

    Args:
        model: whose S.
        gains: G (B, N, 6, 12).
        diagonal: D, R included (12,).
    """

    def __init__(self, model: SingleRigidBody, gains: Tensor, diagonal: Tensor) -> None:
        num_steps = gains.shape[1]
        self._diagonal = diagonal
        self._scaled = gains / diagonal
        here = torch.eye(num_steps, dtype=gains.dtype, device=gains.device)
        block = (self._scaled @ gains.mT)[:, :, :, None] * here[:, None, :, None]
        inner = (model.inverse_curvature + block).flatten(3, 4).flatten(1, 2)
        # The variant that leaves errors to its caller does not wait for the device.
        root = torch.linalg.cholesky_ex(inner).L
        unit = torch.eye(inner.shape[-1], dtype=gains.dtype, device=gains.device)
        inverse_root = torch.linalg.solve_triangular(root, unit.expand_as(root), upper=False)
        self._inverse = inverse_root.mT @ inverse_root

    def solve(self, right: Tensor) -> Tensor:
        """Return what the matrix takes to `right` (B, N, 12)."""
        inner = (self._scaled @ right[..., None]).flatten(1)
        inner = (self._inverse @ inner[..., None]).unflatten(1, (right.shape[1], 6))
        return right / self._diagonal - (self._scaled.mT @ inner).squeeze(-1)


class Admm(nn.Module):
    """The solver; see above.

    Args:
        model: the cost.
        cone: the constraints.
        settings: penalty, iterations, over-relaxation.
    """

    penalty: Tensor
    """P (12,)."""

    def __init__(self, model: SingleRigidBody, cone: FootCone, settings: MpcSettings) -> None:
        super().__init__()
        self.model, self.cone = model, cone
        self.iterations, self.relaxation = settings.iterations, settings.over_relaxation
        self.register_buffer("penalty", torch.full((12,), settings.penalty), persistent=False)

    def forward(self, problem: Problem, start: Iterate) -> Iterate:
        """Improve `start` for a fixed number of iterations."""
        slopes = self.cone.slopes(problem.friction)
        weights = self.penalty[:6]
        curvature = Curvature(self.model, problem.gains, self.model.effort + self.penalty)
        inputs, multipliers = start.inputs, start.multipliers
        free, before = inputs, inputs
        for _ in range(self.iterations):
            before = inputs
            free = curvature.solve(self.penalty * (inputs - multipliers) - problem.linear)
            relaxed = self.relaxation * free + (1.0 - self.relaxation) * inputs + multipliers
            inputs = self.cone.project(relaxed, slopes, problem.contacts, weights)
            multipliers = relaxed - inputs
        residual = torch.maximum((free - inputs).abs(), (inputs - before).abs()).amax((-1, -2))
        return Iterate(inputs, multipliers, residual)
