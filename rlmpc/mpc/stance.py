"""The legs that carry the robot: the planned wrench as joint torques, and a weak servo that holds the root."""

from __future__ import annotations

import torch
from torch import Tensor

from rlmpc.mpc.legs import LegState
from rlmpc.mpc.rotations import cross, rotate
from rlmpc.mpc.swing import joint_motion


def stance_torques(legs: LegState, wrench: Tensor, root_pos: Tensor, root_twist: Tensor, damping: Tensor) -> Tensor:
    """Return the torques [N m] of the legs if both carry the robot (B, 2, 6).

    They press with the planned wrench and carry the leg's own weight. A weak servo on the joints' velocities lets the
    root move as it should over feet that stand still: the planned forces alone leave the root, a small part of the
    whole inertia, free to turn against the swinging leg.

    Args:
        legs: of the robots.
        wrench: planned forces [N] and moments [N m] on the soles, world frame (B, 2, 6).
        root_pos: origin of the root (B, 3) [m].
        root_twist: its wanted velocity [m/s] and angular velocity [rad/s], world frame (B, 6).
        damping: of the servo [N m s/rad] (6,).
    """
    linear, angular = root_twist[:, None, :3], root_twist[:, None, 3:]
    carried = torch.cat((linear + cross(angular, legs.sole_pos - root_pos.unsqueeze(1)), angular.expand(-1, 2, -1)), -1)
    wanted_vel = joint_motion(legs.jacobian, -carried)
    return legs.bias - rotate(legs.jacobian.mT, wrench) + damping * (wanted_vel - legs.joint_vel)
