"""The height scan, with MuJoCo's rays."""

# MuJoCo fills its module from compiled ones, which pyright cannot see into.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import math

import mujoco
import numpy as np

from rlmpc.contract.world import HeightScanner
from rlmpc.sim2sim.model import GROUND_GROUP
from rlmpc.sim2sim.simulation import Simulation

_DOWN = np.array([0.0, 0.0, -1.0])
_GROUND_ONLY = (np.arange(mujoco.mjNGROUP) == GROUND_GROUP).astype(np.uint8)


def scan_heights(simulation: Simulation) -> np.ndarray:
    """Return the closeness of the ground below each ray, (R,): 1 - min(d, d_max) / d_max, misses 0.

    d is the distance [m] from the ray's start to the ground, and d_max how far a ray sees.
    """
    scanner = simulation.world.height_scanner
    assert scanner is not None
    # A step leaves positions of bodies where they were before it.
    mujoco.mj_kinematics(simulation.model, simulation.data)
    body = simulation.data.body(scanner.body)
    forward = body.xmat.reshape(3, 3)[:, 0]
    yaw = math.atan2(forward[1], forward[0])
    turn = np.array([[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]])
    grid = _grid(scanner) + scanner.offset_m[:2]
    heights = np.full((len(grid), 1), body.xpos[2] + scanner.offset_m[2])
    starts = np.hstack([body.xpos[:2] + grid @ turn.T, heights])
    distances = np.array([_ray(simulation, start) for start in starts])
    is_hit = (distances >= 0.0) & (distances <= scanner.max_distance_m)
    return np.where(is_hit, 1.0 - distances / scanner.max_distance_m, 0.0)


def _grid(scanner: HeightScanner) -> np.ndarray:
    """Return the horizontal positions of the rays about the sensor (R, 2) [m]; x, forward, runs fastest."""
    # Isaac Lab's rule: from one edge on, as far as the resolution goes.
    x, y = (np.arange(-0.5 * size, 0.5 * size + 1e-9, scanner.resolution_m) for size in scanner.size_m)
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def _ray(simulation: Simulation, start: np.ndarray) -> float:
    """Return the distance [m] from the start (3,) straight down to the ground; negative where there is none."""
    return mujoco.mj_ray(simulation.model, simulation.data, start, _DOWN, _GROUND_ONLY, True, -1, None)
