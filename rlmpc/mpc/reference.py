"""Where the body is to be: the command, made smooth, and the place and heading that it leads to."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rlmpc.mpc.rotations import rotate, shortened, wrapped, yaw_matrix
from rlmpc.mpc.walk_settings import WalkSettings


class Reference(nn.Module):
    """The commanded velocity of B robots and its integral.

    Args:
        walk: settings.
        num_envs: B.
    """

    command: Tensor
    pos: Tensor
    yaw: Tensor
    ground: Tensor

    def __init__(self, walk: WalkSettings, num_envs: int) -> None:
        super().__init__()
        self.walk = walk
        self.register_buffer("command", torch.zeros(num_envs, 3))
        self.register_buffer("pos", torch.zeros(num_envs, 2))
        self.register_buffer("yaw", torch.zeros(num_envs))
        self.register_buffer("ground", torch.zeros(num_envs))

    def reset(self, mask: Tensor, com: Tensor, yaw: Tensor, ground: Tensor) -> None:
        """Stay at this centre of mass (B, 3), heading (B,) and height of the ground (B,), where masked (B,)."""
        column = mask.unsqueeze(-1)
        self.command.masked_fill_(column, 0.0)
        self.pos.copy_(torch.where(column, com[:, :2], self.pos))
        self.yaw.copy_(torch.where(mask, yaw, self.yaw))
        self.ground.copy_(torch.where(mask, ground, self.ground))

    def advance(
        self, command: Tensor, walks: Tensor, com: Tensor, yaw: Tensor, middle: Tensor, is_stepping: Tensor
    ) -> None:
        """Go on by one control step.

        Args:
            command: wanted vx, vy, yaw rate (B, 3).
            walks: whether the robot may leave its place yet (B,) bool.
            com: centre of mass (B, 3) [m].
            yaw: heading of the root (B,) [rad].
            middle: of the soles that are down (B, 3) [m].
            is_stepping: whether the robot steps; if not, it stays over its feet, (B,) bool.
        """
        step = self.walk.control_dt
        change = torch.where(walks.unsqueeze(-1), command, 0.0) - self.command
        linear, angular = step * self.walk.acceleration, step * self.walk.angular_acceleration
        self.command[:, :2] += change[:, :2].clamp(-linear, linear)
        self.command[:, 2] += change[:, 2].clamp(-angular, angular)
        lag = wrapped(self.yaw + step * self.command[:, 2] - yaw)
        self.yaw.copy_(wrapped(yaw + lag.clamp(-self.walk.largest_lag_rad, self.walk.largest_lag_rad)))
        ahead = self.pos + step * self.velocity()[:, :2] - com[:, :2]
        held = com[:, :2] + shortened(ahead, self.walk.largest_lag_m)
        self.pos.copy_(torch.where(is_stepping.unsqueeze(-1), held, middle[:, :2]))
        self.ground.lerp_(middle[:, 2], 0.2)

    def velocity(self) -> Tensor:
        """Return the commanded velocity in the world frame (B, 3) [m/s]."""
        level = torch.cat((self.command[:, :2], torch.zeros_like(self.command[:, :1])), -1)
        return rotate(yaw_matrix(self.yaw), level)

    def horizon(self, num_steps: int, step_s: float, height_m: float) -> Tensor:
        """Return the states to follow after each step of the horizon (B, N, 12), in the order of the model."""
        times = step_s * torch.arange(1, num_steps + 1, device=self.yaw.device)
        velocity = self.velocity().unsqueeze(1).expand(-1, num_steps, -1)
        level = torch.zeros_like(velocity[..., 0])
        yaw = self.yaw.unsqueeze(1) + times * self.command[:, 2:]
        pos = self.pos.unsqueeze(1) + times[:, None] * velocity[..., :2]
        height = (self.ground + height_m).unsqueeze(1).expand_as(level)
        angular = torch.stack((level, level, self.command[:, 2:].expand_as(level)), -1)
        angles = torch.stack((level, level, yaw), -1)
        return torch.cat((angles, pos, height.unsqueeze(-1), angular, velocity), -1)
