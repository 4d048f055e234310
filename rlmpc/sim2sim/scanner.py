"""The height scan of the task `phase_1_scan_rl`, with MuJoCo's rays."""

# MuJoCo fills its module from compiled ones, which pyright cannot see into.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import math

import mujoco
import numpy as np

from rlmpc.sim2sim.model import GROUND_GROUP
from rlmpc.sim2sim.simulation import Simulation

_MOUNT_BODY = "torso_link"
_OFFSET_M = (0.2, 0.0, 0.43)
"""From the torso; turns with its yaw only, like the grid. These numbers are the sensor's in the task's config."""

_RESOLUTION_M = 0.05
_NUM_X, _NUM_Y = 27, 9
_MAX_DISTANCE_M = 7.0


def _grid() -> np.ndarray:
    """Horizontal positions of the rays about the sensor (243, 2) [m]; x, forward, runs fastest."""
    x = (np.arange(_NUM_X) - 0.5 * (_NUM_X - 1)) * _RESOLUTION_M
    y = (np.arange(_NUM_Y) - 0.5 * (_NUM_Y - 1)) * _RESOLUTION_M
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


_GRID = _grid()
_DOWN = np.array([0.0, 0.0, -1.0])
_GROUND_ONLY = (np.arange(mujoco.mjNGROUP) == GROUND_GROUP).astype(np.uint8)


def scan_heights(simulation: Simulation) -> np.ndarray:
    """Closeness of the ground below each ray, (243,): 1 - min(d, 7 m) / 7 m, where d is the distance [m]; misses 0."""
    model, data = simulation.model, simulation.data
    # A step leaves positions of bodies where they were before it.
    mujoco.mj_kinematics(model, data)
    torso = data.body(_MOUNT_BODY)
    forward = torso.xmat.reshape(3, 3)[:, 0]
    yaw = math.atan2(forward[1], forward[0])
    turn = np.array([[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]])
    starts = np.empty((len(_GRID), 3))
    starts[:, :2] = torso.xpos[:2] + (_GRID + _OFFSET_M[:2]) @ turn.T
    starts[:, 2] = torso.xpos[2] + _OFFSET_M[2]
    distances = np.array([_ray(simulation, start) for start in starts])
    is_hit = (distances >= 0.0) & (distances <= _MAX_DISTANCE_M)
    return np.where(is_hit, 1.0 - distances / _MAX_DISTANCE_M, 0.0)


def _ray(simulation: Simulation, start: np.ndarray) -> float:
    """Distance [m] from the start (3,) straight down to the ground; negative where there is none."""
    return mujoco.mj_ray(simulation.model, simulation.data, start, _DOWN, _GROUND_ONLY, True, -1, None)
