"""What a foot's wrench must satisfy, and the nearest wrench that does.

The normal force pushes and has a ceiling; every other component is at most a share of it: friction as a pyramid, centre
of pressure inside the sole, yaw moment. These are eleven linear inequalities; a foot that swings has no wrench:

    0 <= fz <= ceiling,   |fx|, |fy| <= mu fz,   |mx| <= c_x fz,   |my| <= c_y fz,   |mz| <= c_z fz
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from rlmpc.mpc.body import Body
from rlmpc.mpc.settings import MpcSettings
from rlmpc.mpc.srb import MOMENT_ARM_M, NUM_FEET, Problem

NORMAL = 2
"""Index of the normal force in a wrench."""


class Limits(NamedTuple):
    """Constraints of one solve, in the units of inputs."""

    slopes: Tensor
    """Largest fx, fy, mx, my, mz of a unit normal force (B, 1, 1, 5)."""
    ceilings: Tensor
    """Largest normal force (B, N, 2, 1); 0 for a foot that swings."""


def split(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return the normal forces (..., 2, 1) and all other components (..., 2, 5) of inputs (..., 12)."""
    feet = inputs.unflatten(-1, (NUM_FEET, 6))
    others = torch.cat([feet[..., :NORMAL], feet[..., NORMAL + 1 :]], dim=-1)
    return feet[..., NORMAL : NORMAL + 1], others


def join(normal: Tensor, others: Tensor) -> Tensor:
    """Return inputs (..., 12) of what `split` returns."""
    return torch.cat([others[..., :NORMAL], normal, others[..., NORMAL:]], dim=-1).flatten(-2)


class FootCone(nn.Module):
    """The set of wrenches of a foot.

    Args:
        body: the robot, whose soles limit the centre of pressure.
        settings: limits.
    """

    moment_slopes: Tensor
    """(3,)."""

    def __init__(self, body: Body, settings: MpcSettings) -> None:
        super().__init__()
        arms = [settings.sole_share * body.sole_half_width, settings.sole_share * body.sole_half_length]
        slopes = torch.tensor([*arms, settings.yaw_moment_m], dtype=torch.float64) / MOMENT_ARM_M
        self.register_buffer("moment_slopes", slopes, persistent=False)
        self.ceiling = settings.force_ceiling

    def limits(self, problem: Problem) -> Limits:
        """Return the constraints of a problem."""
        friction = problem.friction[:, None]
        slopes = torch.cat([friction, friction, self.moment_slopes.expand(len(friction), 3)], dim=-1)
        return Limits(slopes[:, None, None], self.ceiling * problem.contacts[..., None].to(slopes.dtype))


def project(inputs: Tensor, limits: Limits, weights: Tensor) -> Tensor:
    """Return the nearest inputs that satisfy the constraints, exactly.

    Given the normal force t, the nearest others are theirs clipped to their share of it. What is left is convex and
    piecewise quadratic in t: each of the five wants t to be at least its `need`, above which it is not clipped. Those
    whose need lies beyond the minimum are clipped there, and the minimum is the weighted mean of their needs and of t
    as given.

    Args:
        inputs: (B, N, 12).
        limits: the constraints.
        weights: of squared distances, alike for both feet (12,).
    """
    normal, others = split(inputs)
    normal_weight, pulls = (part[0] for part in split(weights))
    pulls = pulls * limits.slopes**2
    needs = others.abs() / limits.slopes
    unmet = (needs[..., None, :] - needs[..., None]).clamp(min=0.0)
    pulled = (unmet.flatten(1, 3) @ pulls.flatten(1)[..., None]).view_as(needs)
    rise = normal_weight * (needs - normal) - pulled
    pulls = pulls * (rise > 0.0)
    total = normal_weight * normal + (pulls * needs).sum(-1, keepdim=True)
    force = total / (normal_weight + pulls.sum(-1, keepdim=True))
    force = torch.minimum(force.clamp(min=0.0), limits.ceilings)
    most = limits.slopes * force
    return join(force, torch.clamp(others, -most, most))
