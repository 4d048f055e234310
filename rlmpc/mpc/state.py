"""What the controller is told about the robots, in the same form by every simulator."""

from dataclasses import dataclass

from torch import Tensor


@dataclass
class RobotState:
    """Positions and velocities of B robots; links (L) and joints (J) are in the order of the robot's description.

    All vectors are in the world frame, lengths in metres.
    """

    link_pos: Tensor
    """Origins of the link frames (B, L, 3)."""
    link_rot: Tensor
    """Rotation matrices from link frames to the world (B, L, 3, 3)."""
    link_com_vel: Tensor
    """[m/s] linear velocities of the links' centres of mass (B, L, 3)."""
    link_ang_vel: Tensor
    """[rad/s] (B, L, 3)."""
    joint_pos: Tensor
    """[rad] (B, J)."""
    joint_vel: Tensor
    """[rad/s] (B, J)."""
    sole_force: Tensor
    """[N] normal force of the ground on the soles, left and right, (B, 2)."""
