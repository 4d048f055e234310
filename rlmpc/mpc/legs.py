"""Kinematics and dynamics of the two legs, from the poses and velocities of their links."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from rlmpc.mpc.robot import NUM_LEG_JOINTS, MpcRobot
from rlmpc.mpc.rotations import cross, product, rotate
from rlmpc.mpc.srb import GRAVITY
from rlmpc.mpc.state import RobotState


@dataclass
class LegState:
    """Both legs of B robots, left before right; vectors are in the world frame, twists linear before angular."""

    sole_pos: Tensor
    """[m] centres of the soles (B, 2, 3)."""
    sole_rot: Tensor
    """Rotation matrices of the feet (B, 2, 3, 3)."""
    sole_twist: Tensor
    """Velocities of the sole's centre [m/s] and of the foot [rad/s] (B, 2, 6)."""
    sole_bias: Tensor
    """Accelerations of the sole without acceleration of root and joints, `Jdot qdot`, (B, 2, 6)."""
    jacobian: Tensor
    """From the velocities of a leg's joints to the sole's twist (B, 2, 6, 6)."""
    inertia: Tensor
    """[kg m^2] of a leg's joints, rotors included, (B, 2, 6, 6)."""
    bias: Tensor
    """[N m] gravity and Coriolis torques of a leg's joints (B, 2, 6)."""
    joint_vel: Tensor
    """[rad/s] (B, 2, 6)."""


class Legs(nn.Module):
    """Computes the legs of a robot; works with any simulator and any dtype."""

    links: Tensor
    joints: Tensor
    mass: Tensor
    com: Tensor
    link_inertia: Tensor
    axis: Tensor
    sole: Tensor
    rotors: Tensor
    moves: Tensor

    def __init__(self, robot: MpcRobot) -> None:
        super().__init__()

        def constant(name: str, value: np.ndarray) -> None:
            dtype = torch.long if value.dtype.kind == "i" else torch.get_default_dtype()
            self.register_buffer(name, torch.as_tensor(value, dtype=dtype), persistent=False)

        links = robot.leg_links
        constant("links", links)
        constant("joints", robot.leg_joints)
        constant("mass", robot.link_mass[links])
        constant("com", robot.link_com[links])
        constant("link_inertia", robot.link_inertia[links])
        constant("axis", robot.joint_axis[robot.leg_joints])
        constant("sole", robot.sole)
        constant("rotors", np.stack([np.diag(robot.armature[leg]) for leg in robot.leg_joints]))
        # A joint moves the links from its own to the foot: [link, joint].
        constant("moves", np.tril(np.ones((NUM_LEG_JOINTS, NUM_LEG_JOINTS)))[..., None])

    def forward(self, state: RobotState) -> LegState:
        """Return the legs in this state."""
        pos, rot, omega = (
            state.link_pos[:, self.links],
            state.link_rot[:, self.links],
            state.link_ang_vel[:, self.links],
        )
        com_arm, axis = rotate(rot, self.com), rotate(rot, self.axis)
        inertia = product(product(rot, self.link_inertia), rot.mT)
        joint_vel = state.joint_vel[:, self.joints]
        sole_rot = rot[:, :, -1]
        sole_arm = rotate(sole_rot, self.sole)
        sole_pos = pos[:, :, -1] + sole_arm
        jacobian = torch.cat((cross(axis, sole_pos.unsqueeze(2) - pos), axis), -1).mT
        # Per link and joint: velocity of the link's centre of mass, and angular velocity, by a unit of joint velocity.
        arms = (pos + com_arm).unsqueeze(3) - pos.unsqueeze(2)
        linear = cross(axis.unsqueeze(2), arms) * self.moves
        angular = axis.unsqueeze(2) * self.moves
        acc, alpha = self._accelerations(state, pos, omega, axis * joint_vel.unsqueeze(-1))
        com_acc = acc + _turning(alpha, omega, com_arm)
        force = self.mass.unsqueeze(-1) * com_acc
        force[..., 2] += self.mass * GRAVITY
        moment = rotate(inertia, alpha) + cross(omega, rotate(inertia, omega))
        sole_vel = state.link_com_vel[:, self.links[:, -1]] + cross(omega[:, :, -1], sole_arm - com_arm[:, :, -1])
        sole_acc = acc[:, :, -1] + _turning(alpha[:, :, -1], omega[:, :, -1], sole_arm)
        return LegState(
            sole_pos=sole_pos,
            sole_rot=sole_rot,
            sole_twist=torch.cat((sole_vel, omega[:, :, -1]), -1),
            sole_bias=torch.cat((sole_acc, alpha[:, :, -1]), -1),
            jacobian=jacobian,
            inertia=self._inertia(linear, angular, inertia),
            bias=((linear * force.unsqueeze(3)).sum((2, 4)) + (angular * moment.unsqueeze(3)).sum((2, 4))),
            joint_vel=joint_vel,
        )

    def _accelerations(self, state: RobotState, pos: Tensor, omega: Tensor, spin: Tensor) -> tuple[Tensor, Tensor]:
        """Return the accelerations of the links' origins and their angular ones if root and joints do not accelerate.

        Args:
            state: of the robots.
            pos: origins of the leg's links (B, 2, 6, 3).
            omega: their angular velocities (B, 2, 6, 3).
            spin: angular velocities of the joints (B, 2, 6, 3).
        """
        parent_omega = torch.cat((state.link_ang_vel[:, None, :1].expand(-1, 2, -1, -1), omega[:, :, :-1]), 2)
        parent_pos = torch.cat((state.link_pos[:, None, :1].expand(-1, 2, -1, -1), pos[:, :, :-1]), 2)
        alpha = cross(parent_omega, spin).cumsum(2)
        parent_alpha = torch.cat((torch.zeros_like(alpha[:, :, :1]), alpha[:, :, :-1]), 2)
        return _turning(parent_alpha, parent_omega, pos - parent_pos).cumsum(2), alpha

    def _inertia(self, linear: Tensor, angular: Tensor, inertia: Tensor) -> Tensor:
        """Return the joint-space inertia of the legs (B, 2, 6, 6); `linear`, `angular`: (B, 2, link, joint, 3)."""
        momentum = torch.cat((linear * self.mass[..., None, None], product(angular, inertia)), -1)
        velocity = torch.cat((linear, angular), -1)
        return momentum.transpose(2, 3).flatten(3) @ velocity.transpose(2, 3).flatten(3).mT + self.rotors


def _turning(alpha: Tensor, omega: Tensor, arm: Tensor) -> Tensor:
    """Return the acceleration of a point at `arm` from the origin of a body that turns."""
    return cross(alpha, arm) + cross(omega, cross(omega, arm))
