"""One robot on one piece of ground in MuJoCo, stepped at the control rate.

MuJoCo's quaternions are ``(w, x, y, z)``; the linear velocity of its floating root is that of the body's origin in the
world frame, the angular velocity is in the body's frame.
"""

# MuJoCo fills its module from compiled ones, which pyright cannot see into.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

import mujoco
import numpy as np

from rlmpc.contract.contract import Contract
from rlmpc.errors import UserError
from rlmpc.robots.g1.description import load_description, quat_rotate
from rlmpc.sim2sim.actions import Actions
from rlmpc.sim2sim.ground import make_ground
from rlmpc.sim2sim.model import NUM_SUBSTEPS, build_model

# Left alone, MuJoCo appends its warnings to a file in the current folder.
mujoco.set_mju_user_warning(logging.getLogger(__name__).warning)

HEADING_NOISE_RAD = math.radians(10.0)
"""Largest deviation of the first heading from one of the four axes, as in training."""

MAX_START_VELOCITY = 0.1
"""[m/s, rad/s] largest component of the root's first velocity, as in training."""


class Simulation:
    """The robot of a contract; joints are in the contract's order (J).

    Args:
        contract: what the policy agrees upon with its environment.
        terrain: kind of ground.
        level: its difficulty.

    Raises:
        UserError: for an unknown terrain or level, another robot, or actions that are not served.
    """

    def __init__(self, contract: Contract, terrain: str, level: int) -> None:
        if not contract.joints:
            raise UserError("the policy moves no robot that MuJoCo could simulate; it serves policies of the G1")
        ground = make_ground(terrain, level)
        names = contract.joints["names"]
        self.actions = Actions(contract.actions, contract.joints, contract.control_dt)
        self.control_dt = contract.control_dt
        self.model = build_model(contract.joints, contract.control_dt, ground)
        self.data = mujoco.MjData(self.model)
        self.default_pos = np.array(contract.joints["default_pos"])
        """[rad] (J,)"""
        self.command = np.zeros(3)
        """Commanded vx, vy [m/s] and yaw rate [rad/s] in the base frame, (3,)."""
        self._start_height = ground.origin_height + load_description().default_root_height
        self._qpos_ids = [self.model.joint(name).qposadr[0] for name in names]
        self._dof_ids = [self.model.joint(name).dofadr[0] for name in names]
        self._root_com = self.model.body(load_description().bodies[0].name).ipos

    @property
    def joint_pos(self) -> np.ndarray:
        """[rad] (J,)"""
        return self.data.qpos[self._qpos_ids]

    @property
    def joint_vel(self) -> np.ndarray:
        """[rad/s] (J,)"""
        return self.data.qvel[self._dof_ids]

    @property
    def joint_torque(self) -> np.ndarray:
        """Torques of the drives in the last physics step, limited, (J,) [N m]."""
        return self.data.qfrc_actuator[self._dof_ids]

    @property
    def root_pos(self) -> np.ndarray:
        """Position of the pelvis in the world (3,) [m]."""
        return self.data.qpos[:3]

    @property
    def root_quat_wxyz(self) -> np.ndarray:
        """Orientation of the pelvis in the world (4,), ``(w, x, y, z)``."""
        return self.data.qpos[3:7]

    @property
    def root_yaw(self) -> float:
        """Heading of the pelvis [rad]."""
        w, x, y, z = self.root_quat_wxyz
        return math.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))

    @property
    def root_ang_vel_b(self) -> np.ndarray:
        """Angular velocity of the pelvis in its own frame (3,) [rad/s]."""
        return self.data.qvel[3:6]

    @property
    def root_ang_vel_w(self) -> np.ndarray:
        """Angular velocity of the pelvis in the world frame (3,) [rad/s]."""
        return quat_rotate(self.root_quat_wxyz, self.root_ang_vel_b)

    @property
    def root_lin_vel_w(self) -> np.ndarray:
        """Velocity of the pelvis' centre of mass in the world frame (3,) [m/s]; Isaac Lab means the same point."""
        arm = quat_rotate(self.root_quat_wxyz, self._root_com)
        return self.data.qvel[:3] + np.cross(self.root_ang_vel_w, arm)

    @property
    def gravity_b(self) -> np.ndarray:
        """Direction of gravity in the pelvis frame (3,)."""
        return quat_rotate(self.root_quat_wxyz * (1.0, -1.0, -1.0, -1.0), (0.0, 0.0, -1.0))

    @property
    def is_finite(self) -> bool:
        """Whether every position and velocity is a number."""
        return bool(np.isfinite(self.data.qpos).all() and np.isfinite(self.data.qvel).all())

    def reset(self, rng: np.random.Generator, command: Sequence[float]) -> None:
        """Stand in the default pose in the middle of the tile, facing roughly along one of the four axes.

        Args:
            rng: draws heading, a small velocity of the root and the phase of the gait.
            command: vx, vy [m/s] and yaw rate [rad/s], kept for the whole episode.
        """
        mujoco.mj_resetData(self.model, self.data)
        yaw = 0.5 * math.pi * rng.integers(4) + rng.uniform(-HEADING_NOISE_RAD, HEADING_NOISE_RAD)
        self.data.qpos[:7] = (0.0, 0.0, self._start_height, math.cos(0.5 * yaw), 0.0, 0.0, math.sin(0.5 * yaw))
        self.data.qpos[self._qpos_ids] = self.default_pos
        self.data.qvel[:6] = rng.uniform(-MAX_START_VELOCITY, MAX_START_VELOCITY, 6)
        self.actions.reset(rng)
        self.command = np.array(command, dtype=float)

    def step(self, raw_actions: np.ndarray) -> None:
        """Apply raw actions (A,) for one control step."""
        # Actuators are in the contract's order.
        self.data.ctrl[:] = self.actions.process(raw_actions)
        mujoco.mj_step(self.model, self.data, nstep=NUM_SUBSTEPS)
