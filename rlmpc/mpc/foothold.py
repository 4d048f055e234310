"""Where a swinging foot is to land: the place that turns the capture point into the commanded velocity.

The capture point (divergent component of motion) is c + v / w0. A foot that lands where it then is, less an offset b,
lets the next step begin as a periodic gait of the commanded velocity does (Englsberger, Ott and Albu-Schaeffer 2015;
Khadiv, Herzog, Moosavian and Righetti 2016).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rlmpc.mpc.srb import GRAVITY
from rlmpc.mpc.walk_settings import WalkSettings

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
    side = _sides(period)
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


def upcoming_feet(
    contact_table: Tensor,
    sole_pos: Tensor,
    foothold: Tensor,
    command: Tensor,
    period: Tensor,
    turn: Tensor,
    walk: WalkSettings,
) -> Tensor:
    """Return where the soles are in the steps of the horizon (B, N, 2, 3) [m], world frame.

    A foot that is down stays until it swings; one that swings lands at its foothold; one that swings later lands
    beside the place where the other then is.

    Args:
        contact_table: which feet are down (B, N, 2) bool.
        sole_pos: of the soles now (B, 2, 3).
        foothold: of the feet that swing now (B, 2, 3).
        command: vx, vy [m/s] and yaw rate (B, 3).
        period: of the gait [s] (B,).
        turn: from the yaw frame to the world (B, 3, 3).
        walk: settings.
    """
    swings_now = ~contact_table[:, 0, :, None]
    coming = torch.where(swings_now, foothold, sole_pos)
    step_s = 0.5 * period.unsqueeze(-1)
    forward = (command[:, :1] * step_s).expand(-1, 2)
    sideways = _sides(period) * walk.step_width_m + command[:, 1:2] * step_s
    beside = torch.stack((forward, sideways, torch.zeros_like(forward)), -1)
    later = coming.flip(1) + (turn.unsqueeze(1) @ beside.unsqueeze(-1)).squeeze(-1)
    landed = torch.where(swings_now, foothold, later)
    has_swung = (~contact_table).cumsum(1) > 0
    return torch.where(has_swung.unsqueeze(-1), landed.unsqueeze(1), sole_pos.unsqueeze(1))


def _sides(like: Tensor) -> Tensor:
    """Return the direction of the left and the right foot from the middle along y (B, 2), as wide as `like` (B,)."""
    return torch.stack((torch.ones_like(like), -torch.ones_like(like)), -1)
