"""The alternating direction method of multipliers.

One copy of the inputs, u, minimises the cost and the distance to the other; the other, z, satisfies the constraints
(Stellato et al., "OSQP: an operator splitting solver for quadratic programs", 2020, with the feet's cones in place of
their box). In multipliers y of u = z over the penalty P, and with over-relaxation alpha:

    u  = (H + P)^-1 (P (z - y) - g)
    v  = alpha u + (1 - alpha) z + y
    z+ = the nearest to v in the cones
    y+ = v - z+

The penalty is in proportion to the weights of the efforts, and to the geometric mean of the most and the least
curvature, over level ground, in these: the best for a quadratic between the two.

The number of iterations is fixed and there is no branch, so a GPU can record all of it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from rlmpc.mpc.constraints import FootCone, Limits, project
from rlmpc.mpc.curvature import Curvature, is_fused, most_curvature
from rlmpc.mpc.settings import MpcSettings
from rlmpc.mpc.srb import NUM_FEET, Problem, SingleRigidBody


class Iterate(NamedTuple):
    """Where a solve begins."""

    inputs: Tensor
    """Feasible (B, N, 12)."""
    multipliers: Tensor
    """Over the penalty (B, N, 12)."""


class Terms(NamedTuple):
    """What the iterations of one solve compute with, as kernels take it."""

    linear: Tensor
    """Of the cost (B, N, 12)."""
    scaled: Tensor
    """G D^-1 (B, N, 6, 12)."""
    inverse: Tensor
    """Of S^-1 + G D^-1 G' (B, 6 N, 6 N)."""
    diagonal: Tensor
    """D, alike for both feet (12,)."""
    penalty: Tensor
    """Alike for both feet (12,)."""
    slopes: Tensor
    """Largest fx, fy, mx, my, mz of a unit normal force (B, 5)."""
    ceilings: Tensor
    """Largest normal forces (B, N, 2)."""


class Result(NamedTuple):
    """Where a solve ends."""

    inputs: Tensor
    """Feasible (B, N, 12)."""
    states: Tensor
    """After each step, under these inputs (B, N, 12)."""
    residual: Tensor
    """Largest change of an input by a step down the gradient, over the penalty, and back to the cones (B,); 0 at the
    minimum."""
    next: Iterate
    """From where the next solve begins."""


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
        self._uses_warp = settings.uses_warp
        below = model.times.new_tensor([0.0, 0.0, -settings.com_height]).expand(NUM_FEET, 3)
        penalty = settings.penalty * most_curvature(model, below).sqrt() * model.effort
        self.register_buffer("penalty", penalty, persistent=False)

    def forward(self, problem: Problem, start: Iterate) -> Result:
        """Solve for all environments."""
        limits = self.cone.limits(problem)
        end = self._iterated(problem, limits, start)
        inputs, states = end.inputs, self.model.predicted(problem, end.inputs)
        down = inputs - self.model.gradient(problem, inputs, states) / self.penalty
        residual = (inputs - project(down, limits, self.penalty)).abs().amax((-1, -2))
        return Result(inputs, states, residual, end)

    def _iterated(self, problem: Problem, limits: Limits, start: Iterate) -> Iterate:
        """Return the projected inputs and the multipliers after the iterations."""
        gains = problem.gains
        curvature = Curvature(self.model, gains, self.model.effort + self.penalty)
        if is_fused(self.model, gains):
            # Only where there is a GPU.
            from rlmpc.mpc.fused import iterated
        elif self._uses_warp and not gains.is_cuda and gains.dtype == torch.float32:
            from rlmpc.mpc.kernels.iterations import iterated
        else:
            return self._iterated_by_torch(problem, limits, start, curvature)
        return iterated(start, self.terms(problem, limits, curvature), self.relaxation, self.iterations)

    def terms(self, problem: Problem, limits: Limits, curvature: Curvature) -> Terms:
        """Return what kernels take."""
        matrices = curvature.scaled, curvature.inverse, curvature.diagonal, self.penalty
        return Terms(problem.linear, *matrices, limits.slopes.flatten(1), limits.ceilings.flatten(2))

    def _iterated_by_torch(self, problem: Problem, limits: Limits, start: Iterate, curvature: Curvature) -> Iterate:
        inputs, multipliers = start
        for _ in range(self.iterations):
            free = curvature.solve(self.penalty * (inputs - multipliers) - problem.linear)
            relaxed = torch.lerp(inputs, free, self.relaxation) + multipliers
            inputs = project(relaxed, limits, self.penalty)
            multipliers = relaxed - inputs
        return Iterate(inputs, multipliers)
