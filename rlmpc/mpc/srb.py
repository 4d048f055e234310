"""A single rigid body under two contact wrenches, condensed over the horizon to a dense quadratic programme.

The body turns and moves by the accelerations a = (angular, linear) that the wrenches of its feet make; over one step of
length T they are constant:

    q+ = q + T w + T^2/2 a        q = (roll, pitch, yaw, position of the centre of mass)
    w+ = w + T a                  w = (angular velocity, velocity)
    a  = G u + (0, 0, 0, 0, 0, -g)

All is written in the yaw frame: turned by the yaw of the moment, its origin in the centre of mass of the moment. There,
for small roll and pitch, the rates of the angles are the angular velocity, and the inertia is constant (Di Carlo et al.,
"Dynamic Locomotion in the MIT Cheetah 3 Through Convex Model-Predictive Control", 2018). So steps differ by G alone,
which holds the levers of the feet, and each of the six axes has the same small constant matrices.

B environments, N steps, 12 numbers of a state x = (q, w), 12 of an input u: force and moment of the left foot, then of
the right. Inputs are in units of the body's weight, and of the weight times `MOMENT_ARM_M` for moments.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from rlmpc.mpc.body import Body
from rlmpc.mpc.settings import MpcSettings

GRAVITY = 9.81
"""m/s^2."""
MOMENT_ARM_M = 0.1
"""Brings moments to the size of forces, which the solver needs."""
NUM_FEET = 2


class Problem(NamedTuple):
    """Minimise 1/2 u'Hu + linear'u over inputs in the cones of the feet, with H = G'SG + R; see `SingleRigidBody`."""

    gains: Tensor
    """G: accelerations of unit inputs (B, N, 6, 12); zero for a foot that swings."""
    linear: Tensor
    """(B, N, 12)."""
    nominal: Tensor
    """Weight on the feet that are down (B, N, 12), which R draws the inputs to."""
    contacts: Tensor
    """(B, N, 2) bool."""
    friction: Tensor
    """(B,)."""
    drift: Tensor
    """States without inputs (B, N, 12)."""
    reference: Tensor
    """(B, N, 12)."""


class SingleRigidBody(nn.Module):
    """Constants of the model and of the cost.

    Args:
        body: the robot.
        settings: horizon and weights.
    """

    def __init__(self, body: Body, settings: MpcSettings) -> None:
        super().__init__()
        num_steps, step = settings.horizon, settings.step_s
        ago = torch.arange(num_steps).double()[:, None] - torch.arange(num_steps).double()
        """Whole steps from the end of input j to state k + 1, in row k; negative where the input is later."""
        to_rate = step * (ago >= 0.0)
        to_position = step**2 * (ago + 0.5) * (ago >= 0.0)
        angles = torch.tensor([*settings.orientation_weights, *settings.position_weights]).double()
        rates = torch.tensor([*settings.angular_velocity_weights, *settings.velocity_weights]).double()
        curvature = angles[:, None, None] * (to_position.T @ to_position)
        curvature += rates[:, None, None] * (to_rate.T @ to_rate)
        weight = body.mass * GRAVITY
        unit = torch.tensor([weight] * 3 + [weight * MOMENT_ARM_M] * 3).double().repeat(NUM_FEET)
        effort = torch.tensor(([settings.force_weight] * 3 + [settings.moment_weight] * 3) * NUM_FEET).double()
        constants = {
            "times": step * torch.arange(1, num_steps + 1).double(),
            "to_rate": to_rate,
            "to_position": to_position,
            "angle_weights": angles,
            "rate_weights": rates,
            "curvature": curvature,
            # S^-1 as a matrix of (step, axis) by (step, axis).
            "inverse_curvature": torch.einsum("ijk,il->jikl", torch.linalg.inv(curvature), torch.eye(6).double()),
            "inverse_inertia": torch.linalg.inv(torch.tensor(body.inertia).double()),
            "unit": unit,
            "effort": effort * unit**2,
            "gravity": torch.tensor([0.0] * 5 + [-GRAVITY]).double(),
        }
        for name, constant in constants.items():
            self.register_buffer(name, constant.float(), persistent=False)
        self.mass = body.mass

    times: Tensor
    to_rate: Tensor
    to_position: Tensor
    angle_weights: Tensor
    rate_weights: Tensor
    curvature: Tensor
    """S: of the tracking cost in the accelerations, of each axis (6, N, N)."""
    inverse_curvature: Tensor
    """(N, 6, N, 6)."""
    inverse_inertia: Tensor
    unit: Tensor
    """N or N m of an input of 1 (12,)."""
    effort: Tensor
    """Diagonal of R (12,)."""
    gravity: Tensor

    def condense(self, state: Tensor, levers: Tensor, contacts: Tensor, reference: Tensor, friction: Tensor) -> Problem:
        """Write the prediction as a quadratic programme.

        Args:
            state: now, in the yaw frame (B, 12).
            levers: from the centre of mass to the feet in every step (B, N, 2, 3), m.
            contacts: which feet are down (B, N, 2), bool.
            reference: states to follow (B, N, 12).
            friction: (B,).
        """
        gains = self._gains(levers) * contacts.repeat_interleave(6, dim=-1)[..., None, :]
        drift = self._states(state, self.gravity.expand(*contacts.shape[:2], 6))
        pull = self.to_position.T @ (self.angle_weights * (drift - reference)[..., :6])
        pull = pull + self.to_rate.T @ (self.rate_weights * (drift - reference)[..., 6:])
        share = contacts / contacts.sum(-1, keepdim=True).clamp(min=1)
        nominal = torch.zeros_like(reference).unflatten(-1, (NUM_FEET, 6))
        nominal[..., 2] = share
        nominal = nominal.flatten(-2)
        linear = (gains.mT @ pull[..., None]).squeeze(-1) - self.effort * nominal
        return Problem(gains, linear, nominal, contacts, friction, drift, reference)

    def predicted(self, problem: Problem, inputs: Tensor) -> Tensor:
        """Return the states after each step (B, N, 12) under inputs (B, N, 12)."""
        accelerations = (problem.gains @ inputs[..., None]).squeeze(-1)
        moved = torch.cat([self.to_position @ accelerations, self.to_rate @ accelerations], dim=-1)
        return problem.drift + moved

    def cost(self, problem: Problem, inputs: Tensor, predicted: Tensor) -> Tensor:
        """Return squared errors and efforts, weighted and summed over the horizon (B,)."""
        error = torch.cat([self.angle_weights, self.rate_weights]) * (predicted - problem.reference) ** 2
        effort = self.effort * (inputs - problem.nominal) ** 2
        return (error + effort).sum((-1, -2))

    def _states(self, state: Tensor, accelerations: Tensor) -> Tensor:
        """Return the states after each step (B, N, 12) from a state (B, 12) under accelerations (B, N, 6)."""
        start, rate = state[:, None, :6], state[:, None, 6:]
        positions = start + self.times[:, None] * rate + self.to_position @ accelerations
        return torch.cat([positions, rate + self.to_rate @ accelerations], dim=-1)

    def _gains(self, levers: Tensor) -> Tensor:
        """Return the accelerations of unit inputs (B, N, 6, 12), all feet down."""
        x, y, z = levers.unbind(-1)
        zero = torch.zeros_like(x)
        cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
        of_force = torch.cat([self.inverse_inertia @ cross, self._identity(cross) / self.mass], dim=-2)
        of_moment = torch.cat([self.inverse_inertia.expand_as(cross), torch.zeros_like(cross)], dim=-2)
        foot = torch.cat([of_force, of_moment], dim=-1)
        return torch.cat(foot.unbind(-3), dim=-1) * self.unit

    def _identity(self, like: Tensor) -> Tensor:
        return torch.eye(3, dtype=like.dtype, device=like.device).expand_as(like)
