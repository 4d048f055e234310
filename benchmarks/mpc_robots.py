"""Many robots in MuJoCo, each with its own body and floor, stepped one after another for one batched controller."""

# MuJoCo fills its module from compiled ones, which pyright cannot read.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Sequence

import mujoco
import numpy as np
import torch
from torch import Tensor

from benchmarks.mpc_gates import MIN_HEIGHT_M, Differences
from rlmpc.contract.world import Terrain, World
from rlmpc.mpc.robot import MpcRobot
from rlmpc.mpc.state import RobotState
from rlmpc.robots.robot import Robot
from rlmpc.sim2sim.ground import FLAT, make_ground
from rlmpc.sim2sim.links import links_of, sole_forces
from rlmpc.sim2sim.model import build_model

WORLD = World(
    num_substeps=4,
    gravity=[0.0, 0.0, -9.81],
    integrator="implicitfast",
    cone="pyramidal",
    impratio=1.0,
    contact_stiffness=1.6e5,
    contact_damping=1100.0,
    heading_noise_rad=math.pi,
    max_start_velocity=0.1,
    episode_length_s=10.0,
    max_tilt_rad=math.radians(45.0),
    min_height_m=MIN_HEIGHT_M,
    terrain=Terrain(
        kinds={}, num_levels=1, difficulty_range=[0.0, 1.0], tile_size_m=[100.0, 100.0], border_width_m=0.0
    ),
    height_scanner=None,
)
"""The physics of the tasks, on a floor without an end."""


class MujocoRobots:
    """B robots that differ.

    Args:
        robot: which.
        differences: of each robot (B of them).
        seed: draws the differences, the starts and the noise.
    """

    def __init__(self, robot: Robot, differences: Sequence[Differences], seed: int) -> None:
        # By default, MuJoCo appends its warnings about robots that fell to a file in the current folder.
        mujoco.set_mju_user_warning(logging.getLogger(__name__).debug)
        self.facts = MpcRobot.of(robot)
        self.noise = np.array([each.velocity_noise for each in differences]).T[..., None, None]
        self.rng = np.random.default_rng(seed)
        joints = {
            "names": list(robot.description.joint_names),
            **{name: getattr(self.facts, name) for name in ("stiffness", "damping", "armature", "effort_limit")},
        }
        nominal = build_model(robot, joints, 0.02, WORLD, make_ground(WORLD.terrain, FLAT, 0))
        self._num_links = len(robot.description.bodies)
        self._torso = nominal.body(robot.torso).id
        self._feet = [nominal.body(name).geomadr[0] for name in robot.feet]
        self._start_height = robot.description.default_root_height
        self.models = [self._changed(copy.copy(nominal), limits) for limits in differences]
        self.data = [mujoco.MjData(model) for model in self.models]
        self.forces = np.zeros((len(differences), 2))
        self.has_fallen = np.zeros(len(differences), dtype=bool)
        """Robots that do not move any more (B,)."""
        for data in self.data:
            self._start(data)
        self.forward()

    def _changed(self, model: mujoco.MjModel, limits: Differences) -> mujoco.MjModel:
        factor = self.rng.uniform(1.0 - limits.mass, 1.0 + limits.mass)
        model.body_mass[:] *= factor
        model.body_inertia[:] *= factor
        model.body_ipos[self._torso] += self.rng.uniform(-limits.torso_com_m, limits.torso_com_m, 3)
        model.geom_friction[:, 0] = self.rng.uniform(*limits.friction)
        mujoco.mj_setConst(model, mujoco.MjData(model))
        return model

    def _start(self, data: mujoco.MjData) -> None:
        yaw, speed = self.rng.uniform(-math.pi, math.pi), WORLD.max_start_velocity
        data.qpos[:7] = (0.0, 0.0, self._start_height, math.cos(0.5 * yaw), 0.0, 0.0, math.sin(0.5 * yaw))
        data.qpos[7:] = self.facts.default_joint_pos
        data.qvel[:6] = self.rng.uniform(-speed, speed, 6)
        data.ctrl[:] = self.facts.default_joint_pos

    def state(self) -> RobotState:
        """Return the state of all robots."""
        links = [links_of(data, slice(1, 1 + self._num_links)) for data in self.data]
        pos, rot, com, linear, angular = (np.stack(values) for values in zip(*links, strict=True))
        joint_pos, joint_vel = np.stack([d.qpos[7:] for d in self.data]), np.stack([d.qvel[6:] for d in self.data])
        noise = self.rng.normal(size=(2, len(pos), 1, 3)) * self.noise
        linear = linear + noise[0] + np.cross(noise[1], com - pos[:, :1])
        values = (pos, rot, linear, angular + noise[1], joint_pos, joint_vel, self.forces)
        dtype = torch.get_default_dtype()
        return RobotState(*(torch.as_tensor(value, dtype=dtype) for value in values))

    def step(self, efforts: Tensor) -> None:
        """Run one physics step with feed-forward efforts [N m] (B, J); a robot that has fallen stays as it is."""
        self.has_fallen |= ~self._stands()
        for index in np.flatnonzero(~self.has_fallen):
            model, data, effort = self.models[index], self.data[index], efforts[index].numpy()
            data.qfrc_applied[6:] = effort
            mujoco.mj_step2(model, data)
            self.forces[index] = sole_forces(data, self._feet)
            mujoco.mj_step1(model, data)

    def push(self, velocity: np.ndarray) -> None:
        """Add to the velocities of the roots in the world (B, 2) [m/s]."""
        for data, change in zip(self.data, velocity, strict=True):
            data.qvel[:2] += change
        self.forward()

    def forward(self) -> None:
        """Compute what follows from positions and velocities."""
        for model, data in zip(self.models, self.data, strict=True):
            mujoco.mj_step1(model, data)

    def root(self) -> tuple[np.ndarray, np.ndarray]:
        """Return positions (B, 3) [m] and headings (B,) [rad] of the roots."""
        pos = np.stack([data.qpos[:3] for data in self.data])
        turn = np.stack([data.xmat[1] for data in self.data])
        return pos, np.arctan2(turn[:, 3], turn[:, 0])

    def _stands(self) -> np.ndarray:
        """Return whose root is high enough and not tilted too far (B,)."""
        height = np.array([data.qpos[2] for data in self.data])
        cosine = np.array([data.xmat[1, 8] for data in self.data])
        return (height > WORLD.min_height_m) & (cosine > math.cos(WORLD.max_tilt_rad or math.pi))
