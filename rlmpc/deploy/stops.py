"""When the loop lets go of the robot: what is wrong with a state, in a sentence."""

from __future__ import annotations

import math

import numpy as np

from rlmpc.config.deploy import DeployCfg
from rlmpc.contract.contract import Contract
from rlmpc.deploy.robot import RobotState
from rlmpc.errors import UserError
from rlmpc.robots.quaternions import gravity_in
from rlmpc.robots.table import robot_named

SATURATED = 0.95
"""Share of its effort limit from which a joint counts as pushing with all it has."""

NO_ROTATION = 0.05
"""How far the length of a quaternion may be from 1. An IMU that has not begun gives zeros, which look upright."""


class Stops:
    """Checks every state before anything acts on it.

    Args:
        contract: the policy's: its robot, its joints and their effort limits.
        limits: `max_tilt`, `joint_margin`, `max_torque_s`, `max_age`.

    Raises:
        UserError: if the robot is unknown or lacks a joint.
    """

    def __init__(self, contract: Contract, limits: DeployCfg) -> None:
        self._names: list[str] = contract.joints["names"]
        joints = {joint.name: joint for joint in robot_named(contract.robot).description.joints}
        if unknown := set(self._names) - joints.keys():
            raise UserError(
                f"the policy moves joints that {contract.robot} does not have: {', '.join(sorted(unknown))}"
            )
        self._lower = np.array([joints[name].lower for name in self._names])
        self._upper = np.array([joints[name].upper for name in self._names])
        self._effort = SATURATED * np.array(contract.joints["effort_limit"])
        self._limits = limits
        self._saturated_since = np.full(len(self._names), math.inf)

    def check_age(self, now: float, state: RobotState | None) -> str | None:
        """Return what is wrong with the age of a state at this time [s]; None if it is fresh."""
        if state is None:
            return "no sensor was heard yet"
        age = now - state.time
        return None if age <= self._limits.max_age else f"the sensors are {1e3 * age:.0f} ms old"

    def check(self, state: RobotState) -> str | None:
        """Return why the robot must be let go; None if all is well."""
        if not state.is_finite:
            return "a sensor gives a number that is not finite"
        if abs(np.linalg.norm(state.quat_wxyz) - 1.0) > NO_ROTATION:
            return "the IMU gives an orientation that is none"
        tilt = math.acos(min(max(-float(gravity_in(state.quat_wxyz)[2]), -1.0), 1.0))
        if tilt > self._limits.max_tilt:
            return f"the robot is tilted by {tilt:.2f} rad"
        beyond = np.maximum(self._lower - state.joint_pos, state.joint_pos - self._upper)
        worst = int(beyond.argmax())
        if beyond[worst] > self._limits.joint_margin:
            return f"{self._names[worst]} is {beyond[worst]:.2f} rad beyond its limit"
        is_saturated = np.abs(state.joint_torque) >= self._effort
        self._saturated_since = np.where(is_saturated, np.minimum(self._saturated_since, state.time), math.inf)
        longest = int(self._saturated_since.argmin())
        if state.time - self._saturated_since[longest] > self._limits.max_torque_s:
            return f"{self._names[longest]} has pushed with all its torque for {self._limits.max_torque_s} s"
        return None

    def check_pose(self, state: RobotState, pose: np.ndarray) -> str | None:
        """Return which joint did not come to a pose (J,) [rad]; None if all did."""
        off = np.abs(state.joint_pos - pose)
        worst = int(off.argmax())
        if off[worst] <= self._limits.pose_tolerance:
            return None
        return f"{self._names[worst]} is stuck, {off[worst]:.2f} rad from where it should stand"
