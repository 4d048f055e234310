"""Poses and velocities of a robot's links and the forces on its soles, as MuJoCo has them after a step."""

# MuJoCo fills its module from compiled ones, which pyright cannot read.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import mujoco
import numpy as np

ROWS_OF_CONTACT = 4
"""Edges of a friction pyramid: their forces sum to the normal one."""


class Links(NamedTuple):
    """L links, world frame."""

    pos: np.ndarray
    """[m] origins (L, 3)."""
    rot: np.ndarray
    """Rotation matrices from link frames to the world (L, 3, 3)."""
    com: np.ndarray
    """[m] centres of mass (L, 3)."""
    com_vel: np.ndarray
    """[m/s] their velocities (L, 3)."""
    ang_vel: np.ndarray
    """[rad/s] (L, 3)."""


def links_of(data: mujoco.MjData, bodies: Sequence[int] | slice) -> Links:
    """Return the links of a floating robot, body 1 of its model, by the numbers of their bodies."""
    angular, com = data.cvel[bodies, :3], data.xipos[bodies]
    # MuJoCo gives the velocity of a body at the centre of mass of its tree.
    linear = data.cvel[bodies, 3:] + np.cross(angular, com - data.subtree_com[1])
    return Links(data.xpos[bodies], data.xmat[bodies].reshape(-1, 3, 3), com, linear, angular)


def sole_forces(data: mujoco.MjData, geoms: Sequence[int]) -> np.ndarray:
    """Return the normal forces on soles [N] in the last step, with pyramidal cones."""
    contact = data.contact
    normal = data.efc_force[contact.efc_address[:, None] + np.arange(ROWS_OF_CONTACT)].sum(1)
    return np.array([normal[(contact.geom == geom).any(1)].sum() for geom in geoms])
