"""The cheap tier: the minimum without constraints, projected on them."""

from __future__ import annotations

from torch import nn

from rlmpc.mpc.admm import Iterate, Result
from rlmpc.mpc.constraints import FootCone, project
from rlmpc.mpc.curvature import Curvature
from rlmpc.mpc.settings import MpcSettings
from rlmpc.mpc.srb import Problem, SingleRigidBody


class ClosedForm(nn.Module):
    """One factorisation, no iterations; right where no constraint is active, and feasible everywhere.

    Args:
        model: the cost.
        cone: the constraints.
        settings: not needed.
    """

    def __init__(self, model: SingleRigidBody, cone: FootCone, settings: MpcSettings) -> None:
        super().__init__()
        self.model, self.cone = model, cone

    def forward(self, problem: Problem, start: Iterate) -> Result:
        """Return the projected minimum; its residual is 0, as it has no other, or not finite."""
        free = Curvature(self.model, problem.gains, self.model.effort).solve(-problem.linear)
        inputs = project(free, self.cone.limits(problem), self.model.effort)
        states = self.model.predicted(problem, inputs)
        return Result(inputs, states, 0.0 * inputs.abs().amax((-1, -2)), start)
