"""Robots in MuJoCo that are driven live, each in a simulation of its own."""

# MuJoCo fills its module from compiled ones, which pyright cannot read.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import mujoco
import numpy as np

from rlmpc.contract.live import Played, Shape, Snapshot, check_fit
from rlmpc.robots.quaternions import rotate_back
from rlmpc.sim2sim.evaluate import end_reason, motion_of
from rlmpc.sim2sim.ground import FLAT, Box, make_ground, served_kinds
from rlmpc.sim2sim.observer import Observer
from rlmpc.sim2sim.simulation import Simulation, world_of

EDGE_M = 1.0
"""Distance from the edge of the ground at which a robot starts anew."""

ROW_M = 0.9
"""Distance between the first and the last robot in the row in which they start; the middle of a tile is wider."""

MAX_ROBOTS = 8

_CORNERS = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
_SIDES = np.array([(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)])
"""Corners of a box's sides, counterclockwise seen from outside."""


class MujocoWorld:
    """Implements `rlmpc.contract.live.LiveWorld` in the world of the first policy's contract.

    Args:
        policies: those that act first; their `policy` has `act` and `reset` like `rlmpc.sim2sim.policy.Policy`, and
            memories that `reset` makes anew.
        seed: of the starts of episodes.

    Raises:
        UserError: if a policy needs something that MuJoCo does not offer, or they do not fit each other.
    """

    max_robots = MAX_ROBOTS

    def __init__(self, policies: Sequence[Played], seed: int) -> None:
        self.contract = policies[0].contract
        for played in policies[1:]:
            check_fit(played, self.contract)
        terrain = world_of(self.contract).terrain
        self.terrains, self.num_levels = served_kinds(terrain), terrain.num_levels
        self._half_ground = 0.5 * np.array(terrain.tile_size_m) + terrain.border_width_m - EDGE_M
        self._rng = np.random.default_rng(seed)
        self._command = (0.0, 0.0, 0.0)
        self._facing: np.ndarray | None = None
        self._policies = list(policies)
        self.num_robots = len(policies)
        self.place(FLAT, 0)

    def place(self, terrain: str, level: int) -> Shape:
        """Build the ground and put the robots on it; see the interface."""
        self._ground = (terrain, level)
        self.let_walk(self.num_robots)
        return _shape_of(make_ground(world_of(self.contract).terrain, terrain, level).boxes)

    def let_walk(self, num_robots: int) -> None:
        """Change the number of robots; see the interface."""
        self.num_robots = num_robots
        places = np.linspace(0.5, -0.5, num_robots) * ROW_M if num_robots > 1 else [0.0]
        self._robots = [
            _Robot(self._policy_of(index), Simulation(self.contract, *self._ground), float(place))
            for index, place in enumerate(places)
        ]
        self.reset()

    def reset(self) -> None:
        """Start a new episode; all face one way, and the policies find their robots in the same states."""
        seed, self._facing = int(self._rng.integers(2**32)), None
        for index, robot in enumerate(self._robots):
            rng = np.random.default_rng([seed, index // len(self._policies)])
            self._facing = robot.reset(rng, self._command, self._facing)

    def let_act(self, played: Played, turn: int = 0) -> None:
        """Let another policy act; see the interface."""
        check_fit(played, self.contract)
        for robot in self._robots[turn :: len(self._policies)]:
            robot.let_act(played)
        self._policies[turn] = played

    def set_command(self, command: tuple[float, float, float]) -> None:
        """Command vx, vy [m/s] and yaw rate [rad/s]."""
        self._command = command
        for robot in self._robots:
            robot.simulation.command = np.array(command)

    def push(self, change: tuple[float, float]) -> None:
        """Change the roots' velocities in the frames of their headings."""
        for robot in self._robots:
            robot.simulation.data.qvel[:2] += _turned(change, robot.simulation.root_yaw)

    def step(self) -> str | None:
        """Run one control step; see the interface."""
        reasons = [robot.step() for robot in self._robots]
        for index, robot in enumerate(self._robots):
            if reasons[index] == "left_tile" and self._is_above_ground(robot.simulation):
                reasons[index] = None
            if reasons[index] is not None:
                robot.reset(self._rng, self._command, self._facing)
        return reasons[0]

    def snapshot(self) -> Snapshot:
        """Return how the robots are now."""
        first = self._robots[0]
        return Snapshot(
            *(np.stack(rows) for rows in zip(*(robot.state() for robot in self._robots), strict=True)),
            estimated_velocity=getattr(first.policy, "estimated_velocity", None),
        )

    def close(self) -> None:
        """Nothing is to be released."""

    def _policy_of(self, index: int) -> Played:
        return self._policies[index % len(self._policies)]

    def _is_above_ground(self, simulation: Simulation) -> bool:
        return bool((np.abs(simulation.root_pos[:2]) < self._half_ground).all())


class _Robot:
    """One robot with its policy.

    Args:
        played: the policy, of which it takes a copy with a memory of its own.
        simulation: where it is.
        place: how far to the left of the middle it starts [m].
    """

    def __init__(self, played: Played, simulation: Simulation, place: float) -> None:
        self.simulation, self._place = simulation, place
        self.let_act(played)
        description = simulation.robot.description
        self._body_ids = [simulation.model.body(name).id for name in description.body_names]
        self._foot_ids = [simulation.model.body(name).id for name in simulation.robot.feet]

    def let_act(self, played: Played) -> None:
        """Let a policy act from now on."""
        self._observer = Observer(played.contract, played.groups, self.simulation)
        self.policy = copy.copy(played.policy)
        self.policy.reset()

    def reset(
        self, rng: np.random.Generator, command: tuple[float, float, float], facing: np.ndarray | None
    ) -> np.ndarray:
        """Start a new episode.

        Args:
            rng: draws the state.
            command: vx, vy [m/s] and yaw rate [rad/s].
            facing: orientation of the root (4,), `(w, x, y, z)`; None draws it.

        Returns:
            The orientation.
        """
        self.simulation.reset(rng, command)
        if facing is not None:
            self.simulation.root_quat_wxyz[:] = facing
        self.simulation.data.qpos[:2] += _turned((0.0, self._place), self.simulation.root_yaw)
        self._observer.reset()
        self.policy.reset()
        return self.simulation.root_quat_wxyz.copy()

    def step(self) -> str | None:
        """Run one control step; return why the episode would end."""
        self.simulation.step(self.policy.act(self._observer.observe()))
        return end_reason(self.simulation, is_time_out=False)

    def state(self) -> tuple[np.ndarray, ...]:
        """Return this robot's row of the fields of a `Snapshot`, from the first one to the true velocity."""
        simulation, data = self.simulation, self.simulation.data
        # After a step, MuJoCo's positions of bodies are still those before its last physics step.
        mujoco.mj_kinematics(simulation.model, data)
        return (
            data.xpos[self._body_ids],
            data.xquat[self._body_ids],
            motion_of(simulation).velocity[0],
            simulation.joint_torque,
            self._foot_forces(),
            rotate_back(simulation.root_quat_wxyz, simulation.root_lin_vel_w),
        )

    def _foot_forces(self) -> np.ndarray:
        """Return the size of the normal force on each foot (2,) [N]."""
        model, data = self.simulation.model, self.simulation.data
        total, force = np.zeros((2, 3)), np.zeros(6)
        for index, contact in enumerate(data.contact):
            bodies = model.geom_bodyid[contact.geom]
            for foot, body in enumerate(self._foot_ids):
                if body in bodies:
                    mujoco.mj_contactForce(model, data, index, force)
                    # The contact's frame has the normal first.
                    total[foot] += force[0] * contact.frame[:3]
        return np.linalg.norm(total, axis=1)


def _turned(vector: tuple[float, float], yaw: float) -> np.ndarray:
    """Return a horizontal vector (2,) turned by a heading [rad]."""
    (x, y), cos, sin = vector, math.cos(yaw), math.sin(yaw)
    return np.array((cos * x - sin * y, sin * x + cos * y))


def _shape_of(boxes: tuple[Box, ...]) -> Shape:
    """Return the triangles of boxes."""
    vertices = np.concatenate([np.array(box.centre) + _CORNERS * np.array(box.half_size) for box in boxes])
    triangles = np.concatenate([_SIDES[:, [0, 1, 2]], _SIDES[:, [0, 2, 3]]])
    faces = np.concatenate([triangles + 8 * index for index in range(len(boxes))])
    return Shape(vertices, faces)
