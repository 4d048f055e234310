"""What a policy may choose about the next step of the gait; the nominal values walk without a policy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from rlmpc.mpc.settings import MpcSettings
from rlmpc.mpc.walk_settings import WalkSettings

WIDTHS = {
    "period": 1,
    "swing_height": 1,
    "swing_shape": 1,
    "linear_acc": 3,
    "angular_acc": 3,
    "foothold_offset": 2,
    "friction": 1,
}
"""Fields of `Parameters` that a policy may set -> number of actions, in their order; an offset is of both feet."""


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

    def set(self, names: Iterable[str], values: Tensor) -> None:
        """Set parameters in place to columns of values (B, A): those of these names, each as wide as `WIDTHS` says."""
        start = 0
        for name in names:
            columns = values[:, start : start + WIDTHS[name]]
            _flat(getattr(self, name)).unflatten(1, (-1, WIDTHS[name])).copy_(columns.unsqueeze(1))
            start += WIDTHS[name]

    def get(self, names: Iterable[str]) -> Tensor:
        """Return what `set` takes: columns of the parameters of these names (B, A)."""
        return torch.cat([_flat(getattr(self, name))[:, : WIDTHS[name]] for name in names], dim=1)


def _flat(parameter: Tensor) -> Tensor:
    """Return a parameter (B, ...) as (B, D)."""
    return parameter.view(len(parameter), -1)
