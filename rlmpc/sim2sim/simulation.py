"""One robot on one piece of ground in MuJoCo, stepped at the control rate.

MuJoCo's quaternions are `(w, x, y, z)`. The linear velocity of its floating root is the velocity of the body's origin
in the world frame; the angular velocity is in the body's frame.
"""

# MuJoCo fills its module from compiled ones, which pyright cannot read.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

import mujoco
import numpy as np

from rlmpc.contract.actuation import controller_of
from rlmpc.contract.contract import Contract
from rlmpc.contract.world import World
from rlmpc.errors import UserError
from rlmpc.robots.quaternions import gravity_in, rotate
from rlmpc.robots.table import robot_named
from rlmpc.sim2sim.actions import Actions
from rlmpc.sim2sim.controlled import Controlled
from rlmpc.sim2sim.ground import make_ground
from rlmpc.sim2sim.model import build_model
from rlmpc.sim2sim.observer import PLANNED
from rlmpc.sim2sim.scanner import check_scanner, scan_heights

# By default, MuJoCo appends its warnings to a file in the current folder.
mujoco.set_mju_user_warning(logging.getLogger(__name__).warning)


def world_of(contract: Contract) -> World:
    """Return the world that a policy was trained in.

    Raises:
        UserError: if the policy moves no robot or its contract does not describe the world.
    """
    if not contract.joints:
        raise UserError("the policy moves no robot that MuJoCo could simulate")
    if contract.world is None:
        raise UserError("the policy does not say in which world it was trained, so MuJoCo cannot build one like it")
    return contract.world


class Simulation:
    """The robot of a contract; joints are in the contract's order (J).

    Args:
        contract: what the policy and its environment agree upon.
        terrain: kind of ground.
        level: its difficulty.

    Raises:
        UserError: for an unknown robot, terrain or level, or unknown actions.
    """

    where = "in MuJoCo"

    def __init__(self, contract: Contract, terrain: str, level: int) -> None:
        self.world = world_of(contract)
        self.robot = robot_named(contract.robot)
        ground = make_ground(self.world.terrain, terrain, level)
        names = contract.joints["names"]
        self.actions = Actions(contract)
        self.control_dt = contract.control_dt
        self.model = build_model(self.robot, contract.joints, contract.control_dt, self.world, ground)
        self.data = mujoco.MjData(self.model)
        self.default_pos = np.array(contract.joints["default_pos"])
        """Joint positions of the default pose (J,) [rad]."""
        self.command = np.zeros(3)
        """Commanded vx, vy [m/s] and yaw rate [rad/s] in the base frame, (3,)."""
        self.joint_power = 0.0
        """Sum of |torque x velocity| over the joints, as a mean over the physics steps of the last control step [W]."""
        self._start_height = ground.origin_height + self.robot.description.default_root_height
        self._qpos_ids = [self.model.joint(name).qposadr[0] for name in names]
        self._dof_ids = [self.model.joint(name).dofadr[0] for name in names]
        self._root_com = self.model.body(self.robot.root).ipos
        term = controller_of(contract.actions)
        self.controller = None if term is None else Controlled(term, self)

    @property
    def joint_pos(self) -> np.ndarray:
        """Joint positions (J,) [rad]."""
        return self.data.qpos[self._qpos_ids]

    @property
    def joint_vel(self) -> np.ndarray:
        """Joint velocities (J,) [rad/s]."""
        return self.data.qvel[self._dof_ids]

    @property
    def joint_torque(self) -> np.ndarray:
        """Torques of drives and controller at the start of the last physics step, within limits each, (J,) [N m]."""
        return self.data.qfrc_actuator[self._dof_ids] + self.data.qfrc_applied[self._dof_ids]

    @property
    def root_pos(self) -> np.ndarray:
        """Position of the root in the world (3,) [m]."""
        return self.data.qpos[:3]

    @property
    def root_quat_wxyz(self) -> np.ndarray:
        """Orientation of the root in the world (4,), `(w, x, y, z)`."""
        return self.data.qpos[3:7]

    @property
    def root_yaw(self) -> float:
        """Heading of the root [rad]."""
        w, x, y, z = self.root_quat_wxyz
        return math.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))

    @property
    def root_ang_vel_b(self) -> np.ndarray:
        """Angular velocity of the root in its own frame (3,) [rad/s]."""
        return self.data.qvel[3:6]

    @property
    def root_ang_vel_w(self) -> np.ndarray:
        """Angular velocity of the root in the world frame (3,) [rad/s]."""
        return rotate(self.root_quat_wxyz, self.root_ang_vel_b)

    @property
    def root_lin_vel_w(self) -> np.ndarray:
        """Velocity of the root's centre of mass, as in Isaac Lab, in the world frame (3,) [m/s]."""
        arm = rotate(self.root_quat_wxyz, self._root_com)
        return self.data.qvel[:3] + np.cross(self.root_ang_vel_w, arm)

    @property
    def gravity_b(self) -> np.ndarray:
        """Direction of gravity in the root's frame (3,)."""
        return gravity_in(self.root_quat_wxyz)

    @property
    def is_finite(self) -> bool:
        """Whether every position and velocity is finite."""
        return bool(np.isfinite(self.data.qpos).all() and np.isfinite(self.data.qvel).all())

    def scan(self) -> np.ndarray:
        """Scan the ground; see `scan_heights`."""
        return scan_heights(self)

    def lacks(self) -> set[str]:
        """Return the observation terms that cannot be sensed with this contract.

        Raises:
            UserError: if the height scanner is on a body that the robot lacks.
        """
        check_scanner(self)
        has_controller = self.controller is not None
        has = {
            "gait_phase": has_controller or self.actions.clock is not None,
            "height_scan": self.world.height_scanner is not None,
            **dict.fromkeys(PLANNED, has_controller),
        }
        return {name for name, is_there in has.items() if not is_there}

    def reset(self, rng: np.random.Generator, command: Sequence[float]) -> None:
        """Put the robot in its default pose in the middle of the tile, facing roughly along x, y, -x or -y.

        Args:
            rng: draws the heading, a small velocity of the root and the gait phase.
            command: vx, vy [m/s] and yaw rate [rad/s], kept for the whole episode.
        """
        noise, speed = self.world.heading_noise_rad, self.world.max_start_velocity
        mujoco.mj_resetData(self.model, self.data)
        yaw = 0.5 * math.pi * rng.integers(4) + rng.uniform(-noise, noise)
        self.data.qpos[:7] = (0.0, 0.0, self._start_height, math.cos(0.5 * yaw), 0.0, 0.0, math.sin(0.5 * yaw))
        self.data.qpos[self._qpos_ids] = self.default_pos
        self.data.qvel[:6] = rng.uniform(-speed, speed, 6)
        self.actions.reset(rng)
        if self.controller is not None:
            self.controller.reset()
        self.command = np.array(command, dtype=float)

    def set_drives(self, targets: np.ndarray, stiffness: np.ndarray, damping: np.ndarray) -> None:
        """Set the targets [rad] and gains [N m/rad, N m s/rad] of the drives, (J,) each."""
        # Actuators are in the contract's order.
        self.data.ctrl[:] = targets
        self.model.actuator_gainprm[:, 0] = stiffness
        self.model.actuator_biasprm[:, 1], self.model.actuator_biasprm[:, 2] = -stiffness, -damping

    def settle(self) -> None:
        """Compute what follows from positions and velocities, such as where bodies are, without letting time pass."""
        mujoco.mj_forward(self.model, self.data)

    def advance(self) -> None:
        """Run one physics step."""
        if self.controller is None:
            mujoco.mj_step(self.model, self.data)
        else:
            self.controller.advance()

    def step(self, raw_actions: np.ndarray) -> None:
        """Apply raw actions (A,) for one control step."""
        self.data.ctrl[:] = self.actions.process(raw_actions)
        if self.controller is not None:
            self.controller.plan(self.actions.of_controller)
        power = 0.0
        for _ in range(self.world.num_substeps):
            self.advance()
            power += float(np.abs(self.joint_torque * self.joint_vel).sum())
        self.joint_power = power / self.world.num_substeps
