"""One robot in MuJoCo that is driven live."""

# MuJoCo fills its module from compiled ones, which pyright cannot read.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import math

import mujoco
import numpy as np

from rlmpc.contract.contract import check_contract
from rlmpc.contract.live import Played, Shape, Snapshot
from rlmpc.sim2sim.evaluate import end_reason, motion_of
from rlmpc.sim2sim.ground import FLAT, Box, make_ground, served_kinds
from rlmpc.sim2sim.observer import Observer
from rlmpc.sim2sim.simulation import Simulation, world_of

EDGE_M = 1.0
"""Distance from the edge of the ground at which a robot starts anew."""

_CORNERS = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
_SIDES = np.array([(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)])
"""Corners of a box's sides, counterclockwise seen from outside."""


class MujocoWorld:
    """Implements `rlmpc.contract.live.LiveWorld` with one robot, in the world of the first policy's contract.

    Args:
        played: the policy that acts first; its `policy` has `act` and `reset` like `rlmpc.sim2sim.policy.Policy`.
        seed: of the starts of episodes.

    Raises:
        UserError: if the policy needs something that MuJoCo does not offer.
    """

    def __init__(self, played: Played, seed: int) -> None:
        self.contract = played.contract
        terrain = world_of(played.contract).terrain
        self.terrains, self.num_levels = served_kinds(terrain), terrain.num_levels
        self._half_ground = 0.5 * np.array(terrain.tile_size_m) + terrain.border_width_m - EDGE_M
        self._rng = np.random.default_rng(seed)
        self._command = (0.0, 0.0, 0.0)
        self._played = played
        self.place(FLAT, 0)

    def place(self, terrain: str, level: int) -> Shape:
        """Build the ground and put the robot on it; see the interface."""
        self._simulation = Simulation(self.contract, terrain, level)
        self._body_ids = [self._simulation.model.body(name).id for name in self._description.body_names]
        self._observer = Observer(self.contract, self._played.groups, self._simulation)
        self.reset()
        return _shape_of(make_ground(self._simulation.world.terrain, terrain, level).boxes)

    def reset(self) -> None:
        """Start a new episode."""
        self._simulation.reset(self._rng, self._command)
        self._observer.reset()
        self._played.policy.reset()

    def let_act(self, played: Played) -> None:
        """Let another policy act; see the interface."""
        check_contract(played.contract, self.contract, played.groups, str(played.path))
        observer = Observer(self.contract, played.groups, self._simulation)
        self._played, self._observer = played, observer
        played.policy.reset()

    def set_command(self, command: tuple[float, float, float]) -> None:
        """Command vx, vy [m/s] and yaw rate [rad/s]."""
        self._command = command
        self._simulation.command = np.array(command)

    def push(self, change: tuple[float, float]) -> None:
        """Change the root's velocity in the frame of its heading."""
        cos, sin = math.cos(self._simulation.root_yaw), math.sin(self._simulation.root_yaw)
        x, y = change
        self._simulation.data.qvel[:2] += (cos * x - sin * y, sin * x + cos * y)

    def step(self) -> str | None:
        """Run one control step; see the interface."""
        self._simulation.step(self._played.policy.act(self._observer.observe()))
        reason = end_reason(self._simulation, is_time_out=False)
        if reason is None or (reason == "left_tile" and self._is_above_ground):
            return None
        self.reset()
        return reason

    def snapshot(self) -> Snapshot:
        """Return how the robot is now."""
        data = self._simulation.data
        # After a step, MuJoCo's positions of bodies are still those before its last physics step.
        mujoco.mj_kinematics(self._simulation.model, data)
        return Snapshot(
            data.xpos[None, self._body_ids].copy(),
            data.xquat[None, self._body_ids].copy(),
            motion_of(self._simulation).velocity,
            self._simulation.joint_torque[None].copy(),
        )

    def close(self) -> None:
        """Nothing is to be released."""

    @property
    def _description(self):
        return self._simulation.robot.description

    @property
    def _is_above_ground(self) -> bool:
        return bool((np.abs(self._simulation.root_pos[:2]) < self._half_ground).all())


def _shape_of(boxes: tuple[Box, ...]) -> Shape:
    """Return the triangles of boxes."""
    vertices = np.concatenate([np.array(box.centre) + _CORNERS * np.array(box.half_size) for box in boxes])
    triangles = np.concatenate([_SIDES[:, [0, 1, 2]], _SIDES[:, [0, 2, 3]]])
    faces = np.concatenate([triangles + 8 * index for index in range(len(boxes))])
    return Shape(vertices, faces)
