"""A robot as plain data: links, joints, collision primitives, actuators and default pose.

Pure Python and numpy, so that every reader (USD, the articulation config, a model for another simulator, a test) gets
the same numbers without starting a simulation. Lengths are metres, masses kg, angles rad. Quaternions here are
`(w, x, y, z)`, whereas Isaac Lab 3 stores `(x, y, z, w)`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from rlmpc.robots.patterns import match
from rlmpc.robots.quaternions import product, rotate, unit

Vector = tuple[float, ...]
"""Three components of a position or direction, or four of a quaternion `(w, x, y, z)`."""


@dataclass(frozen=True)
class CollisionShape:
    """A collision primitive, placed in the frame of the body that carries it."""

    name: str
    kind: Literal["sphere", "capsule", "box"]
    size: Vector
    """[m] sphere `(radius,)`; capsule along z `(radius, half_length)`, caps not counted; box half extents."""
    pos: Vector
    quat_wxyz: Vector

    @property
    def reach(self) -> np.ndarray:
        """Half lengths of the upright box around it, along the axes of the body that carries it, shape (3,) [m]."""
        if self.kind == "sphere":
            return np.full(3, self.size[0])
        axes = np.array([rotate(self.quat_wxyz, axis) for axis in np.eye(3)])
        if self.kind == "capsule":
            return self.size[0] + self.size[1] * np.abs(axes[2])
        return np.abs(axes).T @ self.size


@dataclass(frozen=True)
class Joint:
    """A hinge between a body and its parent; its frame is the body's frame at angle zero."""

    name: str
    axis: Vector
    """Unit vector in the body's frame."""
    lower: float
    """[rad]"""
    upper: float
    """[rad]"""


@dataclass(frozen=True)
class Body:
    """A rigid link."""

    name: str
    parent: str | None
    """Name of the parent body; None for the root."""
    pos: Vector
    """Origin in the parent's frame at joint angle zero; the origin itself for the root."""
    quat_wxyz: Vector
    """Orientation in the parent's frame at joint angle zero."""
    mass: float
    """[kg]"""
    com: Vector
    """Centre of mass in the body's frame."""
    inertia_quat_wxyz: Vector
    """Orientation of the principal axes of inertia in the body's frame."""
    diag_inertia: Vector
    """[kg m^2] principal moments about the centre of mass."""
    joint: Joint | None
    """The hinge to the parent; None for the root, which floats."""
    collision: tuple[CollisionShape, ...]


@dataclass(frozen=True)
class Actuator:
    """A kind of position drive and the joints it moves."""

    name: str
    joints: tuple[str, ...]
    """Regular expressions of joint names, matched in full."""
    effort_limit: float
    """[N m]"""
    velocity_limit: float
    """[rad/s]"""
    armature: float
    """[kg m^2] rotor inertia reflected through the gears."""
    stiffness: float
    """[N m/rad]"""
    damping: float
    """[N m s/rad]"""

    @property
    def action_scale(self) -> float:
        """[rad] joint target offset per unit of action: a quarter of the offset that commands the effort limit.

        This is mjlab's rule for the G1. A unit action asks every joint for the same share of its motor's effort,
        however soft or strong the joint is.
        """
        return 0.25 * self.effort_limit / self.stiffness


@dataclass(frozen=True)
class RobotDescription:
    """A tree of bodies in depth-first order, with its actuators and default pose."""

    name: str
    bodies: tuple[Body, ...]
    """Every parent comes before its children; the first body is the root."""
    actuators: tuple[Actuator, ...]
    default_joint_pos_patterns: Mapping[str, float]
    """[rad] regular expression of joint names, matched in full -> angle; joints that match none are at zero."""
    default_root_height: float
    """[m] height of the root's origin above the ground that the feet just clear in the default pose."""

    @cached_property
    def body_names(self) -> tuple[str, ...]:
        """Names of all bodies, depth first."""
        return tuple(body.name for body in self.bodies)

    def body(self, name: str) -> Body:
        """Return the body of a name.

        Raises:
            ValueError: If there is none.
        """
        return self.bodies[self.body_names.index(name)]

    @cached_property
    def joints(self) -> tuple[Joint, ...]:
        """All joints, depth first; this is also the order of joints in the simulation."""
        return tuple(body.joint for body in self.bodies if body.joint is not None)

    @cached_property
    def joint_names(self) -> tuple[str, ...]:
        """Names of all joints, depth first."""
        return tuple(joint.name for joint in self.joints)

    @cached_property
    def total_mass(self) -> float:
        """Sum of the bodies' masses [kg]."""
        return sum(body.mass for body in self.bodies)

    @cached_property
    def default_joint_pos(self) -> dict[str, float]:
        """[rad] default angle of every joint, by name."""
        matches = match(self.default_joint_pos_patterns, self.joint_names)
        return {name: self.default_joint_pos_patterns[p] if (p := matches[name]) else 0.0 for name in self.joint_names}

    @cached_property
    def actuator_by_joint(self) -> dict[str, Actuator]:
        """The actuator of every joint, by joint name.

        Raises:
            ValueError: If a joint has no actuator or several.
        """
        owners = {pattern: actuator for actuator in self.actuators for pattern in actuator.joints}
        matches = match(owners, self.joint_names)
        if unmoved := [name for name, pattern in matches.items() if pattern is None]:
            raise ValueError(f"joints without an actuator: {unmoved}")
        return {name: owners[pattern] for name, pattern in matches.items() if pattern is not None}

    @cached_property
    def action_scale(self) -> dict[str, float]:
        """[rad] joint target offset per unit of action, by joint name; see `Actuator.action_scale`."""
        return {name: actuator.action_scale for name, actuator in self.actuator_by_joint.items()}

    def body_poses(self, joint_pos: Mapping[str, float]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Return the poses of all bodies (forward kinematics).

        Args:
            joint_pos: [rad] angles by joint name; joints left out are at zero.

        Returns:
            By body name: position (3,) [m] and quaternion `(w, x, y, z)` (4,), both in the root body's frame.

        Raises:
            ValueError: If `joint_pos` names an unknown joint.
        """
        if unknown := set(joint_pos) - set(self.joint_names):
            raise ValueError(f"unknown joints {sorted(unknown)}; the robot has {list(self.joint_names)}")
        poses: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for body in self.bodies:
            if body.parent is None or body.joint is None:
                poses[body.name] = (np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0]))
                continue
            parent_pos, parent_quat = poses[body.parent]
            half_angle = 0.5 * joint_pos.get(body.joint.name, 0.0)
            hinge = np.array([np.cos(half_angle), *(np.sin(half_angle) * np.array(body.joint.axis))])
            quat = product(parent_quat, product(unit(body.quat_wxyz), hinge))
            poses[body.name] = (parent_pos + rotate(parent_quat, body.pos), quat)
        return poses
