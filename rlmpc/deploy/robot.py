"""What the loop asks of a robot. Joints are in the order of the policy's contract (J) on both sides."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np


class Mode(Enum):
    """What the loop does with the robot, in the order in which it comes to it; the last one is `DAMPING` again."""

    DAMPING = "damping"
    """Joints brake and hold no position."""
    STAND_UP = "stand up"
    """Joints go to the default pose."""
    POLICY = "policy"


@dataclass(frozen=True)
class RobotState:
    """What a robot senses at one moment."""

    time: float
    """When it was sensed [s], by the clock of the loop."""
    joint_pos: np.ndarray
    """[rad] (J,)"""
    joint_vel: np.ndarray
    """[rad/s] (J,)"""
    joint_torque: np.ndarray
    """As measured or estimated by the drives [N m], (J,)."""
    quat_wxyz: np.ndarray
    """Orientation of the root in the world (4,), `(w, x, y, z)`."""
    ang_vel_b: np.ndarray
    """Of the root, in its own frame, (3,) [rad/s]."""

    @property
    def is_finite(self) -> bool:
        """Whether every number is."""
        parts = (self.joint_pos, self.joint_vel, self.joint_torque, self.quat_wxyz, self.ang_vel_b)
        return all(bool(np.isfinite(part).all()) for part in parts)


@dataclass(frozen=True)
class Drive:
    """What the drives shall do until they are told something else.

    Torque is stiffness x (target - position) - damping x velocity.
    """

    targets: np.ndarray
    """[rad] (J,)"""
    stiffness: np.ndarray
    """[N m/rad] (J,)"""
    damping: np.ndarray
    """[N m s/rad] (J,)"""


class Robot(Protocol):
    """A robot that is sensed and driven once per control step."""

    def read(self) -> RobotState | None:
        """Return the newest state, which may be an old one; None before the first."""
        ...

    def write(self, drive: Drive) -> None:
        """Send this to the drives."""
        ...

    def enter(self, mode: Mode) -> None:
        """Hear that the loop begins this mode."""
        ...


class Clock(Protocol):
    """Seconds that pass evenly, from any start."""

    def now(self) -> float:
        """Return the time [s]."""
        ...

    def sleep_until(self, due: float) -> None:
        """Return at that time [s], or at once if it has passed."""
        ...
