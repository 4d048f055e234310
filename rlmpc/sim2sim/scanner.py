"""The height scan, with MuJoCo's rays."""

# MuJoCo fills its module from compiled ones, which pyright cannot read.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import mujoco
import numpy as np

from rlmpc.contract.world import HeightScanner
from rlmpc.errors import UserError, nearest
from rlmpc.sim2sim.model import GROUND_GROUP

if TYPE_CHECKING:
    from rlmpc.sim2sim.simulation import Simulation

_DOWN = np.array([0.0, 0.0, -1.0])
_GROUND_ONLY = (np.arange(mujoco.mjNGROUP) == GROUND_GROUP).astype(np.uint8)


def check_scanner(simulation: Simulation) -> None:
    """Refuse a height scanner on a body that the robot lacks.

    Raises:
        UserError: if it does, with the nearest name.
    """
    scanner, model = simulation.world.height_scanner, simulation.model
    bodies = [model.body(index).name for index in range(1, model.nbody)]
    if scanner is not None and scanner.body not in bodies:
        raise UserError(
            f"the policy's height scanner is on the body '{scanner.body}', which {simulation.robot.name} does not have"
            f"{nearest(scanner.body, bodies)}"
        )


def scan_heights(simulation: Simulation) -> np.ndarray:
    """Return the closeness of the ground below each ray, (R,): 1 - min(d, d_max) / d_max, 0 for a miss.

    d is the distance [m] from the ray's start to the ground, d_max the range [m] of a ray.
    """
    scanner = simulation.world.height_scanner
    assert scanner is not None
    # After a step, MuJoCo's positions of bodies are still those before its last physics step.
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
    """Return the horizontal positions of the rays relative to the sensor (R, 2) [m]; x, forward, varies fastest."""
    # As in Isaac Lab: start at one edge and go on in steps of the resolution.
    x, y = (np.arange(-0.5 * size, 0.5 * size + 1e-9, scanner.resolution_m) for size in scanner.size_m)
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def _ray(simulation: Simulation, start: np.ndarray) -> float:
    """Return the distance [m] from `start` (3,) straight down to the ground; negative if there is none."""
    return mujoco.mj_ray(simulation.model, simulation.data, start, _DOWN, _GROUND_ONLY, True, -1, None)
