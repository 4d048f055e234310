"""The cheap tier: the minimum without constraints, projected on them."""

from __future__ import annotations

import torch
from torch import nn

from rlmpc.mpc.admm import Curvature, Iterate
from rlmpc.mpc.constraints import FootCone
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

    def forward(self, problem: Problem, start: Iterate) -> Iterate:
        """Return the projected minimum; its residual says whether it is finite alone."""
        free = Curvature(self.model, problem.gains, self.model.effort).solve(-problem.linear)
        slopes = self.cone.slopes(problem.friction)
        inputs = self.cone.project(free, slopes, problem.contacts, self.model.effort[:6])
        return Iterate(inputs, torch.zeros_like(start.multipliers), 0.0 * inputs.abs().amax((-1, -2)))
