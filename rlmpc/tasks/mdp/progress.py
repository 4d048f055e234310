"""How far and how fast robots walk where they are told to."""

import torch
from isaaclab.utils.math import quat_apply_inverse, yaw_quat

from rlmpc.tasks.mdp.selected import write


class Progress:
    """Averages how far velocities are from their commands, and adds up distances of the current episodes.

    A walking body sways and twists with every step by as much as slow commands differ, so the velocity of an instant
    says little. Errors are averaged, not velocities, so that a new command is not an error of the past.

    Args:
        num_envs: N.
        device: where the numbers live.
    """

    def __init__(self, num_envs: int, device: str) -> None:
        self.error = torch.zeros(num_envs, 3, device=device)
        """Average of measured minus commanded velocity: vx, vy in the frame that turns with the root's yaw [m/s], and
        yaw rate [rad/s]. Shape is (N, 3)."""
        self.commanded_m = torch.zeros(num_envs, device=device)
        """Distance that commands asked for in this episode [m]. Shape is (N,)."""
        self.followed_m = torch.zeros(num_envs, device=device)
        """Distance along the commands in this episode [m], negative backwards. Shape is (N,)."""

    @property
    def was_to_walk(self) -> torch.Tensor:
        """Whether any distance was commanded, (N,) bool."""
        return self.commanded_m > 1e-3

    @property
    def followed_share(self) -> torch.Tensor:
        """Share of the commanded distance that was walked, at least 0; 1 if none was commanded. Shape is (N,)."""
        share = self.followed_m / self.commanded_m.clamp(min=1e-3)
        return torch.where(self.was_to_walk, share.clamp(min=0.0), 1.0)

    def add(self, command: torch.Tensor, velocity: torch.Tensor, dt: float, time_constant_s: float) -> None:
        """Add a step.

        Args:
            command: Commanded vx, vy [m/s] and yaw rate [rad/s]. Shape is (N, 3).
            velocity: What was measured of them, see `planar_velocity`. Shape is (N, 3).
            dt: Length of the step [s].
            time_constant_s: Of the average [s]: errors are passed through a first-order low-pass filter.
        """
        self.error.copy_(self.next_error(command, velocity, dt, time_constant_s))
        plane = command[:, :2]
        speed = plane.norm(dim=1)
        self.commanded_m.add_(speed * dt)
        self.followed_m.add_((velocity[:, :2] * plane).sum(dim=1) / speed.clamp(min=1e-6) * dt)

    def next_error(
        self, command: torch.Tensor, velocity: torch.Tensor, dt: float, time_constant_s: float
    ) -> torch.Tensor:
        """Return what `error` becomes by a step (N, 3); the arguments are those of `add`, and nothing changes."""
        return self.error.lerp(velocity - command, dt / (time_constant_s + dt))

    def begin(self, mask: torch.Tensor) -> None:
        """Begin the episodes of a mask (N,)."""
        for values in (self.error, self.commanded_m, self.followed_m):
            write(values, mask, 0.0)


def planar_velocity(quat_w: torch.Tensor, lin_vel_w: torch.Tensor, ang_vel_w: torch.Tensor) -> torch.Tensor:
    """Return vx, vy in the frame that turns with the root's yaw [m/s], and the yaw rate [rad/s], (N, 3).

    Args:
        quat_w: Orientation of the root, XYZW. Shape is (N, 4).
        lin_vel_w: Velocity of the root in the world [m/s]. Shape is (N, 3).
        ang_vel_w: Angular velocity of the root in the world [rad/s]. Shape is (N, 3).
    """
    return torch.cat([quat_apply_inverse(yaw_quat(quat_w), lin_vel_w)[:, :2], ang_vel_w[:, 2:]], dim=1)
