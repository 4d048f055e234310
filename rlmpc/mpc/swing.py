"""The swinging foot: a smooth path to a foothold that may move, and the leg's torques that follow it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rlmpc.mpc.legs import LegState
from rlmpc.mpc.rotations import product, roll_pitch_yaw, rotate, rotation_vector, shortened, wrapped, yaw_matrix
from rlmpc.mpc.walk_settings import WalkSettings

DAMPING = 1.0e-4
"""Regularises the inverse of a Jacobian, in squares of its singular values: a straight leg is singular."""


@dataclass
class FootPath:
    """Where both feet should be, how fast, and with which acceleration, world frame."""

    pos: Tensor
    """[m] of the sole's centre (B, 2, 3)."""
    yaw: Tensor
    """[rad] the foot is level (B, 2)."""
    twist: Tensor
    """[m/s, rad/s] (B, 2, 6)."""
    acc: Tensor
    """[m/s^2, rad/s^2] (B, 2, 6)."""


class Swing(nn.Module):
    """Remembers where the feet lifted and where they are to land.

    Args:
        walk: settings.
        num_envs: B.
    """

    lift_pos: Tensor
    lift_yaw: Tensor
    foothold: Tensor

    def __init__(self, walk: WalkSettings, num_envs: int) -> None:
        super().__init__()
        self.walk = walk
        self.register_buffer("lift_pos", torch.zeros(num_envs, 2, 3))
        self.register_buffer("lift_yaw", torch.zeros(num_envs, 2))
        self.register_buffer("foothold", torch.zeros(num_envs, 2, 3))

    def reset(self, mask: Tensor, sole_pos: Tensor, yaw: Tensor) -> None:
        """Take the soles (B, 2, 3) as lifted and landed where they are, in the heading (B,), where masked (B,)."""
        feet = mask[:, None, None]
        self.lift_yaw.copy_(torch.where(mask[:, None], yaw[:, None], self.lift_yaw))
        self.lift_pos.copy_(torch.where(feet, sole_pos, self.lift_pos))
        self.foothold.copy_(torch.where(feet, sole_pos, self.foothold))

    def lift(self, mask: Tensor, legs: LegState) -> None:
        """Begin the path of the feet in `mask` (B, 2) bool where they are."""
        yaw = roll_pitch_yaw(legs.sole_rot)[..., 2]
        self.lift_yaw.copy_(torch.where(mask, yaw, self.lift_yaw))
        self.lift_pos.copy_(torch.where(mask.unsqueeze(-1), legs.sole_pos, self.lift_pos))
        self.foothold.copy_(torch.where(mask.unsqueeze(-1), legs.sole_pos, self.foothold))

    def path(
        self, share: Tensor, speed: Tensor, yaw: Tensor, late_s: Tensor, height: Tensor, shape: Tensor
    ) -> FootPath:
        """Return the path from the place of lifting to the foothold.

        Args:
            share: part of the way that lies behind (B, 2).
            speed: of `share` [1/s] (B, 2).
            yaw: in which to land [rad] (B, 2).
            late_s: time since the foot should have landed (B, 2).
            height: of the path above the way between its ends [m] (B, 1).
            shape: when it is highest, see `Parameters.swing_shape` (B, 1).
        """
        speed = speed * (share < 1.0)
        blend = share**3 * (10.0 - 15.0 * share + 6.0 * share**2)
        blend_rate = 30.0 * share**2 * (1.0 - share) ** 2 * speed
        blend_acc = 60.0 * share * (1.0 - share) * (1.0 - 2.0 * share) * speed**2
        angle = 2.0 * math.pi * (share + shape * share * (1.0 - share))
        angle_rate = 2.0 * math.pi * (1.0 + shape * (1.0 - 2.0 * share)) * speed
        angle_acc = -4.0 * math.pi * shape * speed**2
        sinks = self.walk.sink_speed * (late_s > 0.0)
        up = 0.5 * height * (1.0 - angle.cos()) - self.walk.sink_speed * late_s
        up_rate = 0.5 * height * angle.sin() * angle_rate - sinks
        up_acc = 0.5 * height * (angle.cos() * angle_rate**2 + angle.sin() * angle_acc)
        way, turn = self.foothold - self.lift_pos, wrapped(yaw - self.lift_yaw)

        def along(factor: Tensor, up: Tensor) -> Tensor:
            level = torch.zeros_like(up)
            rise = torch.stack((level, level, up, level, level, factor * turn), -1)
            rise[..., :3] += factor.unsqueeze(-1) * way
            return rise

        return FootPath(
            pos=self.lift_pos + along(blend, up)[..., :3],
            yaw=self.lift_yaw + blend * turn,
            twist=along(blend_rate, up_rate),
            acc=along(blend_acc, up_acc),
        )

    def torques(self, path: FootPath, legs: LegState) -> Tensor:
        """Return the torques [N m] (B, 2, 6) by which the legs follow the path, by their own inertia."""
        turn = product(yaw_matrix(path.yaw), legs.sole_rot.mT)
        error = torch.cat((path.pos - legs.sole_pos, rotation_vector(turn)), -1)
        stiffness = self.walk.swing_stiffness
        acc = path.acc + stiffness**2 * error + 2.0 * stiffness * (path.twist - legs.sole_twist)
        linear, angular = self.walk.swing_acceleration
        acc = torch.cat((shortened(acc[..., :3], linear), shortened(acc[..., 3:], angular)), -1)
        joint_acc = joint_motion(legs.jacobian, acc - legs.sole_bias)
        return rotate(legs.inertia, joint_acc) + legs.bias


def joint_motion(jacobian: Tensor, motion: Tensor) -> Tensor:
    """Return the joint velocities or accelerations (..., 6) of a sole's (..., 6), damped near a straight leg."""
    square = jacobian.mT @ jacobian
    square.diagonal(dim1=-2, dim2=-1).add_(DAMPING)
    return rotate(inverse_of_positive(square), rotate(jacobian.mT, motion))


def inverse_of_positive(matrix: Tensor) -> Tensor:
    """Return the inverse of small symmetric positive definite matrices (..., n, n).

    Gauss-Jordan without pivots, which these do not need. A library's batched inverse looks at its result on the host,
    which a recorded graph cannot do.
    """
    inverse = matrix
    for k in range(matrix.shape[-1]):
        column, row = inverse[..., :, k : k + 1], inverse[..., k : k + 1, :]
        pivot = inverse[..., k : k + 1, k : k + 1]
        swept = inverse - column * row / pivot
        swept[..., :, k : k + 1] = -column / pivot
        swept[..., k : k + 1, :] = row / pivot
        swept[..., k : k + 1, k : k + 1] = 1.0 / pivot
        inverse = swept
    return inverse
