"""Where a swinging foot is to land: the place that turns the capture point into the commanded velocity.

The capture point (divergent component of motion) is c + v / w0. A foot that lands where it then is, less an offset b,
lets the next step begin as a periodic gait of the commanded velocity does (Englsberger et al. 2015, Khadiv et al. 2016).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rlmpc.mpc.srb import GRAVITY
from rlmpc.mpc.walk_settings import WalkSettings

SIDES = (1.0, -1.0)
"""Direction of the left and the right foot from the middle, along y."""

SETTLING_S = 0.02
"""The weight moves to the new foot so long after the end of its swing."""


def capture_point(com: Tensor, com_vel: Tensor, height_m: float) -> Tensor:
    """Return where a foot would have to stand so that the robot came to rest over it, (..., 2) [m]."""
    return com[..., :2] + com_vel[..., :2] / math.sqrt(GRAVITY / height_m)


def footholds(
    point: Tensor, left_s: Tensor, command: Tensor, period: Tensor, height_m: float, walk: WalkSettings
) -> tuple[Tensor, Tensor]:
    """Return the footholds of both feet, each from the other sole's centre, in the yaw frame.

    Args:
        point: capture point from the other sole's centre, yaw frame, [m] (B, 2 feet, 2).
        left_s: rest of the swing [s] (B, 2).
        command: vx, vy [m/s] and yaw rate (B, 3).
        period: of the gait [s] (B,).
        height_m: of the centre of mass.
        walk: settings.

    Returns:
        Footholds within reach (B, 2, 2), and the distance of those without that limit from the nominal ones (B, 2).
    """
    omega = math.sqrt(GRAVITY / height_m)
    side = torch.stack((torch.ones_like(period), -torch.ones_like(period)), -1)
    step_s = (0.5 * period).unsqueeze(-1)
    growth = torch.exp(omega * step_s)
    vx, vy = command[:, :1], command[:, 1:2]
    offset = torch.stack(
        (
            (vx * step_s / (growth - 1.0)).expand(-1, 2),
            -side * walk.step_width_m / (1.0 + growth) + vy * step_s / (growth - 1.0),
        ),
        -1,
    )
    wanted = point * torch.exp(omega * (left_s + SETTLING_S)).unsqueeze(-1) - offset
    nominal = torch.stack(((vx * step_s).expand(-1, 2), side * walk.step_width_m + vy * step_s), -1)
    low, high = walk.sideways_m
    reachable = torch.stack(
        (wanted[..., 0].clamp(-walk.reach_m, walk.reach_m), side * (side * wanted[..., 1]).clamp(low, high)), -1
    )
    return reachable, (wanted - nominal).norm(dim=-1)
