"""What a policy may choose about the next step of the gait; the nominal values walk without a policy."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rlmpc.mpc.settings import MpcSettings
from rlmpc.mpc.walk_settings import WalkSettings


@dataclass
class Parameters:
    """Parameters of the controller for B robots."""

    period: Tensor
    """[s] duration of one gait cycle, two steps, (B,)."""
    swing_height: Tensor
    """[m] height that the foot's path has above the way between its ends (B,)."""
    swing_shape: Tensor
    """When the foot is highest, -1 to 1: in the middle of the swing at 0, earlier if positive, (B,)."""
    linear_acc: Tensor
    """[m/s^2] acceleration of the centre of mass that the model lacks, yaw frame, (B, 3)."""
    angular_acc: Tensor
    """[rad/s^2] angular acceleration that the model lacks, yaw frame, (B, 3)."""
    foothold_offset: Tensor
    """[m] added to the footholds of the left and the right foot, forward and left in the yaw frame, (B, 2, 2)."""
    foothold_rise: Tensor
    """[m] height of the ground at the left and the right foothold above the other sole; 0 where unknown, (B, 2)."""
    friction: Tensor
    """Coefficient of friction that the controller assumes (B,)."""
    steps: Tensor
    """Whether the robot steps in place when the command is zero, instead of standing, (B,) bool."""

    @classmethod
    def nominal(
        cls, settings: MpcSettings, walk: WalkSettings, num_envs: int, device: torch.device | str = "cpu"
    ) -> Parameters:
        """Return the parameters of a gait without a policy."""

        def full(value: float, *shape: int) -> Tensor:
            return torch.full((num_envs, *shape), value, device=device)

        return cls(
            period=full(walk.period_s),
            swing_height=full(walk.swing_height_m),
            swing_shape=full(0.0),
            linear_acc=full(0.0, 3),
            angular_acc=full(0.0, 3),
            foothold_offset=full(0.0, 2, 2),
            foothold_rise=full(0.0, 2),
            friction=full(settings.friction),
            steps=torch.zeros(num_envs, dtype=torch.bool, device=device),
        )
