"""Model-predictive control for a batch of robots: one call, one wrench for every foot of each."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rlmpc.config.setting import check_settings
from rlmpc.mpc.admm import Iterate, Result
from rlmpc.mpc.body import Body
from rlmpc.mpc.constraints import FootCone
from rlmpc.mpc.precision import full_precision
from rlmpc.mpc.rotations import product, yaw_matrix
from rlmpc.mpc.settings import MpcSettings
from rlmpc.mpc.solvers import SOLVERS
from rlmpc.mpc.srb import Problem, SingleRigidBody


class Solution(NamedTuple):
    """What a solve tells of B environments; N steps."""

    wrench: Tensor
    """Force and moment about the centre of the sole, of left and right foot, now, in the world (B, 2, 6), N and N m."""
    predicted: Tensor
    """States after each step, in the world (B, N, 12)."""
    cost: Tensor
    """Weighted squared errors and efforts over the horizon (B,)."""
    residual: Tensor
    """How far a step down the gradient and back to the constraints moves an input, in body weights (B,): 0 at the
    minimum. A cost 0.1 % above the minimum can be 1."""
    accepted: Tensor
    """Whether the wrench is of this solve (B,); otherwise it is the last one."""


class Predictive(nn.Module):
    """Solves the same prediction for all environments, and remembers each one's solution to start the next from.

    It has fixed shapes, reads nothing on the host, and changes its buffers in place: a GPU can record `solve`. Buffers
    are the whole of its state: `state_dict` resumes exactly.

    A solve whose residual is above the bound or not finite keeps the last wrench and is counted in `failures`.

    Args:
        body: the robot.
        settings: model, cost, constraints, solver.
        num_envs: B.
        device: where it solves.
        dtype: of its numbers and of all arguments; float64 is for tests.

    Raises:
        UserError: for settings that are not accepted.
    """

    inputs: Tensor
    """Of the last solve (B, N, 12), in units of the model and its yaw frame."""
    multipliers: Tensor
    """Of the last solve (B, N, 12)."""
    path: Tensor
    """Of the centre of mass over the horizon, from where it was at the last solve, in the world (B, N, 3), m."""
    wrench: Tensor
    """The last one (B, 2, 6); see `Solution`."""
    fresh: Tensor
    """Whether there was no solve since the reset (B,)."""
    failures: Tensor
    """Solves in a row that were not accepted (B,); more than `settings.max_failures` are a fault."""

    def __init__(
        self,
        body: Body,
        settings: MpcSettings,
        num_envs: int,
        device: torch.device | str,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        check_settings(settings)
        settings.check()
        self.settings = settings
        self.model = SingleRigidBody(body, settings)
        self.cone = FootCone(body, settings)
        self.solver = SOLVERS[settings.solver](self.model, self.cone, settings)
        shape = (num_envs, settings.horizon)
        self.register_buffer("inputs", torch.zeros(*shape, 12))
        self.register_buffer("multipliers", torch.zeros(*shape, 12))
        self.register_buffer("path", torch.zeros(*shape, 3))
        self.register_buffer("wrench", torch.zeros(num_envs, 2, 6))
        self.register_buffer("fresh", torch.ones(num_envs, dtype=torch.bool))
        self.register_buffer("failures", torch.zeros(num_envs, dtype=torch.long))
        self.to(device, dtype)

    @torch.no_grad()
    @full_precision()
    def solve(self, state: Tensor, feet: Tensor, contacts: Tensor, reference: Tensor, friction: Tensor) -> Solution:
        """Return the wrenches that follow a reference best.

        Args:
            state: roll, pitch, yaw, position of the centre of mass, angular velocity (centroidal angular momentum over
                the composite inertia), velocity of the centre of mass; in the world (B, 12).
            feet: centres of the soles in every step, in the world (B, N, 2, 3), m; left, right.
            contacts: which feet are down in every step (B, N, 2), bool.
            reference: states to follow, after each step, in the world (B, N, 12).
            friction: assumed coefficient (B,).
        """
        problem, turn = self.problem(state, feet, contacts, reference, friction)
        end: Result = self.solver(problem, self.start(problem))
        predicted = _rotated(end.states, turn)
        path = predicted[..., 3:6].clone()
        predicted[..., 2] += state[:, None, 2]
        predicted[..., 3:6] += state[:, None, 3:6]
        cost = self.model.cost(problem, end.inputs, end.states)
        wrench = (end.inputs[:, 0] * self.model.unit).unflatten(-1, (4, 3)) @ turn.mT
        is_finite = torch.isfinite(end.residual + cost + wrench.sum((-1, -2)))
        accepted = is_finite & (end.residual <= self.settings.residual_bound)
        self._remember(end, path, wrench.reshape(-1, 2, 6), is_finite, accepted)
        return Solution(self.wrench.clone(), predicted, cost, end.residual, accepted)

    def problem(
        self, state: Tensor, feet: Tensor, contacts: Tensor, reference: Tensor, friction: Tensor
    ) -> tuple[Problem, Tensor]:
        """Return the quadratic programme of `solve`, and the rotation of the yaw frame to the world (B, 3, 3)."""
        yaw, position = state[:, 2], state[:, 3:6]
        turn = yaw_matrix(yaw)
        steady = self.model.times[:, None] * state[:, None, 9:]
        path = torch.where(self.fresh[:, None, None], steady, self.path)
        path = torch.cat([torch.zeros_like(path[:, :1]), path[:, :-1]], dim=1)
        levers = product(feet - position[:, None, None] - path[:, :, None], turn[:, None])
        here = state.clone()
        here[:, 2:6] = 0.0
        follow = reference.clone()
        follow[..., 2] = torch.remainder(reference[..., 2] - yaw[:, None] + math.pi, 2 * math.pi) - math.pi
        follow[..., 3:6] -= position[:, None]
        here, follow = _rotated(here[:, None], turn.mT).squeeze(1), _rotated(follow, turn.mT)
        return self.model.condense(here, levers, contacts, follow, friction), turn

    def start(self, problem: Problem) -> Iterate:
        """Return where the solve of a problem begins: where the last one ended, or after a reset its nominal inputs."""
        return Iterate(torch.where(self.fresh[:, None, None], problem.nominal, self.inputs), self.multipliers)

    def reset(self, mask: Tensor) -> None:
        """Forget the last solve where the mask (B,) says so."""
        for name in ("inputs", "multipliers", "path", "wrench", "failures"):
            buffer = getattr(self, name)
            buffer.masked_fill_(mask.view(-1, *[1] * (buffer.ndim - 1)), 0)
        self.fresh.logical_or_(mask)

    def _remember(self, end: Result, path: Tensor, wrench: Tensor, is_finite: Tensor, accepted: Tensor) -> None:
        """Keep what the next solve starts from; after one that is not finite, it starts as if there was none."""
        self.fresh.copy_(~is_finite)
        broken = self.fresh[:, None, None]
        self.inputs.copy_(end.next.inputs.masked_fill(broken, 0.0))
        self.multipliers.copy_(end.next.multipliers.masked_fill(broken, 0.0))
        self.path.copy_(path.masked_fill(broken, 0.0))
        self.wrench.copy_(torch.where(accepted[:, None, None], wrench, self.wrench))
        self.failures.add_(1).masked_fill_(accepted, 0)


def _rotated(states: Tensor, turn: Tensor) -> Tensor:
    """Return states (B, N, 12) whose positions and velocities are turned (B, 3, 3); angles stay."""
    vectors = product(states[..., 3:].unflatten(-1, (3, 3)), turn[:, None].mT)
    return torch.cat([states[..., :3], vectors.flatten(-2)], dim=-1)
