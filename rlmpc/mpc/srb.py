"""A single rigid body under two contact wrenches, condensed over the horizon to a dense quadratic programme.

The body turns and moves by the accelerations a = (angular, linear) that the wrenches of its feet make; over one step of
length T they are constant:

    q+ = q + T w + T^2/2 a        q = (roll, pitch, yaw, position of the centre of mass)
    w+ = w + T a                  w = (angular velocity, velocity)
    a  = G u + (0, 0, 0, 0, 0, -g)

All is written in the yaw frame: turned by the yaw of the moment, its origin in the centre of mass of the moment. There,
for small roll and pitch, the rates of the angles are the angular velocity, and the inertia is constant (Di Carlo et
al., "Dynamic Locomotion in the MIT Cheetah 3 Through Convex Model-Predictive Control", 2018). So steps differ by G
alone, which holds the levers of the feet, and each of the six axes has the same small constant matrices.

B environments, N steps, 12 numbers of a state x = (q, w), 12 of an input u: force and moment of the left foot, then of
the right. Inputs are in units of the body's weight, and of the weight times `MOMENT_ARM_M` for moments.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from rlmpc.mpc.body import Body
from rlmpc.mpc.rotations import product, rotate
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
    """Constants of the model and of the cost, in float64 as they are made.

    Args:
        body: the robot.
        settings: horizon and weights.
    """

    def __init__(self, body: Body, settings: MpcSettings) -> None:
        super().__init__()
        num_steps, step = settings.horizon, settings.step_s
        # Whole steps from the end of input j to state k + 1, in row k; negative where the input is later.
        ago = np.subtract.outer(np.arange(num_steps), np.arange(num_steps))
        to_rate = step * (ago >= 0)
        to_position = step**2 * (ago + 0.5) * (ago >= 0)
        angles = np.array([*settings.orientation_weights, *settings.position_weights])
        rates = np.array([*settings.angular_velocity_weights, *settings.velocity_weights])
        curvature = angles[:, None, None] * (to_position.T @ to_position)
        curvature += rates[:, None, None] * (to_rate.T @ to_rate)
        unit = np.tile(np.repeat([1.0, MOMENT_ARM_M], 3), NUM_FEET) * body.mass * GRAVITY
        fall = np.array([0.0] * 5 + [-GRAVITY])
        effort = np.tile(np.repeat([settings.force_weight, settings.moment_weight], 3), NUM_FEET)
        constants = {
            "times": step * np.arange(1, num_steps + 1),
            "to_rate": to_rate,
            "to_position": to_position,
            "state_weights": np.concatenate([angles, rates]),
            "curvature": curvature,
            # S^-1 as a matrix of (step, axis) by (step, axis).
            "inverse_curvature": np.einsum("ijk,il->jikl", np.linalg.inv(curvature), np.eye(6)),
            "inverse_inertia": np.linalg.inv(body.inertia),
            "unit": unit,
            "effort": effort * unit**2,
            "falling": np.hstack([np.outer(rows.sum(1), fall) for rows in (to_position, to_rate)]),
        }
        for name, constant in constants.items():
            self.register_buffer(name, torch.as_tensor(constant), persistent=False)
        self.mass = body.mass
        self.fused = settings.fused

    times: Tensor
    to_rate: Tensor
    to_position: Tensor
    state_weights: Tensor
    curvature: Tensor
    """S: of the tracking cost in the accelerations, of each axis (6, N, N)."""
    inverse_curvature: Tensor
    """(N, 6, N, 6)."""
    inverse_inertia: Tensor
    unit: Tensor
    """N or N m of an input of 1 (12,)."""
    effort: Tensor
    """Diagonal of R (12,)."""
    falling: Tensor
    """What gravity adds to the states (N, 12)."""

    def condense(self, state: Tensor, levers: Tensor, contacts: Tensor, reference: Tensor, friction: Tensor) -> Problem:
        """Write the prediction as a quadratic programme.

        Args:
            state: now, in the yaw frame (B, 12).
            levers: from the centre of mass to the feet in every step (B, N, 2, 3), m.
            contacts: which feet are down (B, N, 2), bool.
            reference: states to follow (B, N, 12).
            friction: (B,).
        """
        touching = contacts[..., None].expand(*contacts.shape, 6).flatten(-2)
        gains = self.gains(levers) * touching[..., None, :]
        start, rate = state[:, None].expand(-1, len(self.times), -1).split(6, dim=-1)
        drift = torch.cat([start + self.times[:, None] * rate, rate], dim=-1) + self.falling
        nominal = torch.zeros(*contacts.shape, 6, dtype=state.dtype, device=state.device)
        nominal[..., 2] = contacts / contacts.sum(-1, keepdim=True).clamp(min=1)
        nominal = nominal.flatten(-2)
        linear = self._pulled(gains, drift - reference) - self.effort * nominal
        return Problem(gains, linear, nominal, contacts, friction, drift, reference)

    def predicted(self, problem: Problem, inputs: Tensor) -> Tensor:
        """Return the states after each step (B, N, 12) under inputs (B, N, 12)."""
        accelerations = rotate(problem.gains, inputs)
        moved = torch.cat([self.to_position @ accelerations, self.to_rate @ accelerations], dim=-1)
        return problem.drift + moved

    def cost(self, problem: Problem, inputs: Tensor, states: Tensor) -> Tensor:
        """Return squared errors and efforts, weighted and summed over the horizon (B,).

        Args:
            problem: what is minimised.
            inputs: (B, N, 12).
            states: predicted under these (B, N, 12).
        """
        errors = (states - problem.reference) ** 2
        efforts = (inputs - problem.nominal) ** 2
        return (self.state_weights * errors + self.effort * efforts).sum((-1, -2))

    def gradient(self, problem: Problem, inputs: Tensor, states: Tensor) -> Tensor:
        """Return half the gradient of the cost (B, N, 12) at inputs (B, N, 12), with the states predicted there."""
        return self._pulled(problem.gains, states - problem.reference) + self.effort * (inputs - problem.nominal)

    def gains(self, levers: Tensor) -> Tensor:
        """Return the accelerations of unit inputs (..., 6, 12) at levers (..., 2, 3), both feet down."""
        x, y, z = levers.unbind(-1)
        zero = torch.zeros_like(x)
        cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
        linear = torch.eye(3, dtype=cross.dtype, device=cross.device) / self.mass
        of_force = torch.cat([product(self.inverse_inertia, cross), linear.expand_as(cross)], dim=-2)
        of_moment = torch.cat([self.inverse_inertia.expand_as(cross), torch.zeros_like(cross)], dim=-2)
        feet = torch.cat([of_force, of_moment], dim=-1)
        return torch.cat(feet.unbind(-3), dim=-1) * self.unit

    def _pulled(self, gains: Tensor, errors: Tensor) -> Tensor:
        """Return half the gradient (B, N, 12) of weighted squared errors of states (B, N, 12) in the inputs."""
        angles, rates = (self.state_weights * errors).split(6, dim=-1)
        pull = self.to_position.T @ angles + self.to_rate.T @ rates
        return rotate(gains.mT, pull)
