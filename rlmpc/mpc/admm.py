"""The alternating direction method of multipliers, and a few Newton steps from where it ends.

One copy of the inputs, u, minimises the cost and the distance to the other; the other, z, satisfies the constraints
(Stellato et al., "OSQP: an operator splitting solver for quadratic programs", 2020, with the feet's cones in place of
their box). In multipliers y of u = z over the penalty P, and with over-relaxation alpha:

    u  = (H + P)^-1 (P (z - y) - g)
    v  = alpha u + (1 - alpha) z + y
    z+ = the nearest to v in the cones
    y+ = v - z+

The penalty of a component is in proportion to the geometric mean of the most and the least curvature that it can meet,
its diagonal entry of H over level ground and the weight of its effort: the best for a quadratic between the two.

After some iterations v tells which constraints are active. Then the minimum under these, as equalities, is one more
linear system (OSQP's polish). As its solution tells active constraints, too, this can be repeated: a Newton method,
which mostly converges in one to three steps from here, but not from afar. A step is kept where it lowers the cost.

Iterations and steps are fixed numbers and there is no branch, so a GPU can record all of it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from rlmpc.mpc.constraints import FootCone, Limits, face, project
from rlmpc.mpc.curvature import Curvature, is_fused
from rlmpc.mpc.settings import MpcSettings
from rlmpc.mpc.srb import NUM_FEET, Problem, SingleRigidBody


class Iterate(NamedTuple):
    """Where a solve begins."""

    inputs: Tensor
    """Feasible (B, N, 12)."""
    multipliers: Tensor
    """Over the penalty (B, N, 12)."""


class Result(NamedTuple):
    """Where a solve ends."""

    inputs: Tensor
    """Feasible (B, N, 12)."""
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
        settings: penalty, iterations, over-relaxation, Newton steps.
    """

    penalty: Tensor
    """P (12,)."""

    def __init__(self, model: SingleRigidBody, cone: FootCone, settings: MpcSettings) -> None:
        super().__init__()
        self.model, self.cone = model, cone
        self.iterations, self.relaxation = settings.iterations, settings.over_relaxation
        self.newton_steps = settings.newton_steps
        below = model.times.new_tensor([0.0, 0.0, -settings.com_height]).expand(NUM_FEET, 3)
        curvature = model.curvature.diagonal(dim1=1, dim2=2).mean(-1)
        most = model.effort + curvature @ model.gains(below) ** 2
        self.register_buffer("penalty", settings.penalty * (most * model.effort).sqrt(), persistent=False)

    def forward(self, problem: Problem, start: Iterate) -> Result:
        """Solve for all environments."""
        limits = self.cone.limits(problem)
        relaxed, inputs, multipliers = self._iterated(problem, limits, start)
        best = self._polished(problem, limits, inputs, relaxed)
        down = project(self._stepped(problem, best), limits, self.penalty)
        return Result(best, (best - down).abs().amax((-1, -2)), Iterate(inputs, multipliers))

    def _iterated(self, problem: Problem, limits: Limits, start: Iterate) -> tuple[Tensor, Tensor, Tensor]:
        """Return the relaxed and the projected inputs and the multipliers after the iterations, (B, N, 12) each."""
        diagonal = self.model.effort + self.penalty
        curvature = Curvature(self.model, problem.gains, diagonal)
        inputs, multipliers = start
        if is_fused(self.model, problem.gains):
            # Only where there is a GPU.
            from rlmpc.mpc.fused import iterated

            matrices = curvature.scaled, curvature.inverse, diagonal, self.penalty
            bounds = limits.slopes.flatten(1), limits.ceilings.flatten(2)
            return iterated(*start, problem.linear, *matrices, *bounds, self.relaxation, self.iterations)
        relaxed = inputs + multipliers
        for _ in range(self.iterations):
            free = curvature.solve(self.penalty * (inputs - multipliers) - problem.linear)
            relaxed = torch.lerp(inputs, free, self.relaxation) + multipliers
            inputs = project(relaxed, limits, self.penalty)
            multipliers = relaxed - inputs
        return relaxed, inputs, multipliers

    def _polished(self, problem: Problem, limits: Limits, inputs: Tensor, relaxed: Tensor) -> Tensor:
        """Return the best of the inputs (B, N, 12) and some Newton steps, the first from the face of `relaxed`."""
        cost = self.model.cost(problem, inputs)
        for _ in range(self.newton_steps):
            there = project(relaxed, limits, self.penalty)
            active = face(relaxed, there, limits)
            curvature = Curvature(self.model, active.fold(problem.gains), active.effort(self.model.effort))
            slope = active.fold(self.model.gradient(problem, there)[..., None, :]).squeeze(-2)
            moved = there - active.spread(curvature.solve(slope))
            candidate = project(moved, limits, self.penalty)
            lower = self.model.cost(problem, candidate)
            inputs = torch.where((lower < cost)[:, None, None], candidate, inputs)
            cost = torch.fmin(cost, lower)
            relaxed = self._stepped(problem, moved)
        return inputs

    def _stepped(self, problem: Problem, inputs: Tensor) -> Tensor:
        """Return inputs one step down the gradient; from the minimum, it projects back to where it was."""
        return inputs - self.model.gradient(problem, inputs) / self.penalty
