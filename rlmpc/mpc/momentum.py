"""Centre of mass and centroidal angular momentum of the whole robot, and the torques that gravity asks for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rlmpc.mpc.robot import MpcRobot
from rlmpc.mpc.rotations import cross, rotate
from rlmpc.mpc.srb import GRAVITY
from rlmpc.mpc.state import RobotState


@dataclass
class WholeBody:
    """Sums over all links of B robots, world frame."""

    com: Tensor
    """[m] centre of mass (B, 3)."""
    com_vel: Tensor
    """[m/s] (B, 3)."""
    angular_momentum: Tensor
    """[kg m^2/s] about the centre of mass (B, 3)."""
    gravity_torque: Tensor
    """[N m] efforts of the joints that carry what is behind them in the tree against gravity (B, J)."""


class Momentum(nn.Module):
    """Sums over the links of a robot."""

    mass: Tensor
    com: Tensor
    link_inertia: Tensor
    axis: Tensor
    carried_mass: Tensor
    joint_link: Tensor

    def __init__(self, robot: MpcRobot) -> None:
        super().__init__()
        dtype = torch.get_default_dtype()
        for name, value in {
            "mass": robot.link_mass[:, None],
            "com": robot.link_com,
            "link_inertia": robot.link_inertia,
            "axis": robot.joint_axis,
            "carried_mass": robot.carried * robot.link_mass,
        }.items():
            self.register_buffer(name, torch.as_tensor(value, dtype=dtype), persistent=False)
        self.register_buffer("joint_link", torch.as_tensor(robot.joint_link), persistent=False)
        self.total = robot.mass

    def forward(self, state: RobotState) -> WholeBody:
        """Return the sums in this state."""
        coms = state.link_pos + rotate(state.link_rot, self.com)
        com = (self.mass * coms).sum(1) / self.total
        com_vel = (self.mass * state.link_com_vel).sum(1) / self.total
        local_omega = rotate(state.link_rot.mT, state.link_ang_vel)
        spin = rotate(state.link_rot, rotate(self.link_inertia, local_omega))
        orbit = self.mass * cross(coms - com.unsqueeze(1), state.link_com_vel - com_vel.unsqueeze(1))
        return WholeBody(com, com_vel, (spin + orbit).sum(1), self._gravity_torque(state, coms))

    def _gravity_torque(self, state: RobotState, coms: Tensor) -> Tensor:
        """Return the efforts that hold the links behind each joint; only horizontal arms count, (B, J)."""
        origin, rot = state.link_pos[:, self.joint_link, :2], state.link_rot[:, self.joint_link]
        moment = self.carried_mass @ coms[..., :2] - self.carried_mass.sum(1, keepdim=True) * origin
        axis = rotate(rot, self.axis)
        # axis . (arm x (0, 0, m g))
        return GRAVITY * (axis[..., 0] * moment[..., 1] - axis[..., 1] * moment[..., 0])
