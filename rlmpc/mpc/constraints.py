"""What a foot's wrench must satisfy, and the nearest wrench that does.

The normal force pushes and has a ceiling; every other component is at most a share of it: friction as a pyramid, centre
of pressure inside the sole, yaw moment. These are eleven linear inequalities; a foot that swings has no wrench:

    0 <= fz <= ceiling,   |fx|, |fy| <= mu fz,   |mx| <= c_x fz,   |my| <= c_y fz,   |mz| <= c_z fz
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rlmpc.mpc.body import Body
from rlmpc.mpc.settings import MpcSettings
from rlmpc.mpc.srb import MOMENT_ARM_M

NORMAL = 2
"""Index of the normal force in a wrench."""


class FootCone(nn.Module):
    """The set of wrenches of one foot, in the units of inputs.

    Args:
        body: the robot, whose soles limit the centre of pressure.
        settings: limits.
    """

    moment_slopes: Tensor
    """(3,)."""

    def __init__(self, body: Body, settings: MpcSettings) -> None:
        super().__init__()
        arms = [settings.sole_share * body.sole_half_width, settings.sole_share * body.sole_half_length]
        slopes = torch.tensor([*arms, settings.yaw_moment_m]) / MOMENT_ARM_M
        self.register_buffer("moment_slopes", slopes, persistent=False)
        self.ceiling = settings.force_ceiling

    def slopes(self, friction: Tensor) -> Tensor:
        """Return the largest fx, fy, mx, my, mz of a unit normal force (B, 1, 1, 5)."""
        tangential = friction[:, None].expand(-1, 2)
        slopes = torch.cat([tangential, self.moment_slopes.expand(len(friction), 3)], dim=-1)
        return slopes[:, None, None]

    def project(self, inputs: Tensor, slopes: Tensor, contacts: Tensor, weights: Tensor) -> Tensor:
        """Return the nearest inputs that satisfy the constraints, exactly.

        Given the normal force t, the nearest others are theirs clipped to their share of it. What is left is convex and
        piecewise quadratic in t alone, with a break where each of the five begins to be clipped: those whose break lies
        beyond the minimum are clipped there, and tell it.

        Args:
            inputs: (B, N, 12).
            slopes: see `slopes`.
            contacts: (B, N, 2) bool.
            weights: of squared distances, of the six components of a foot (6,).
        """
        feet = inputs.unflatten(-1, (2, 6))
        normal, others = feet[..., NORMAL : NORMAL + 1], _others(feet)
        normal_weight, pull = weights[NORMAL], _others(weights) * slopes
        sizes = others.abs()
        breaks = sizes / slopes
        beyond = (sizes[..., None, :] - slopes[..., None, :] * breaks[..., None]).clamp(min=0.0)
        rise = normal_weight * (breaks - normal) - (pull[..., None, :] * beyond).sum(-1)
        clipped = pull * (rise > 0.0)
        force = normal_weight * normal + (clipped * sizes).sum(-1, keepdim=True)
        force = force / (normal_weight + (clipped * slopes).sum(-1, keepdim=True))
        force = force.clamp(0.0, self.ceiling) * contacts[..., None]
        limits = slopes * force
        others = torch.maximum(torch.minimum(others, limits), -limits)
        return torch.cat([others[..., :NORMAL], force, others[..., NORMAL:]], dim=-1).flatten(-2)


def _others(feet: Tensor) -> Tensor:
    """Return all components of wrenches (..., 6) but the normal force (..., 5)."""
    return torch.cat([feet[..., :NORMAL], feet[..., NORMAL + 1 :]], dim=-1)
