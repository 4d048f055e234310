"""What tasks and simulators need to know about a robot: its description, and the roles of its parts in walking."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from rlmpc.errors import nearest
from rlmpc.robots.description import RobotDescription
from rlmpc.robots.patterns import matching
from rlmpc.robots.read import read_description

JOINT_GROUPS = ("arms", "waist", "hip_roll_yaw", "ankles", "ankle_pitch", "yaw")
"""Fields of `Robot` that are groups of joints."""


@dataclass(frozen=True)
class Robot:
    """A legged robot with a left and a right foot.

    Joints and bodies in a tuple are regular expressions, matched in full. Groups of joints that the robot does not have
    stay empty; terms about them are then switched off.
    """

    name: str
    """Name in `rlmpc.robots.table` and in the contracts of policies."""
    description_file: Path
    """JSON file with bodies, joints, drives and default pose."""
    torso: str
    """Body whose mass is randomised and that carries sensors; the root if there is no separate torso."""
    feet: tuple[str, str]
    """Bodies, left and right, each with one collision shape."""
    sole_offset_m: float
    """Distance of the sole below the foot body's origin."""
    ground_bodies: tuple[str, ...]
    """Bodies that may touch the ground."""
    arms: tuple[str, ...] = ()
    waist: tuple[str, ...] = ()
    hip_roll_yaw: tuple[str, ...] = ()
    ankles: tuple[str, ...] = ()
    ankle_pitch: tuple[str, ...] = ()
    yaw: tuple[str, ...] = ()
    """Joints of the legs and the waist whose axis is vertical while the robot stands."""

    @cached_property
    def description(self) -> RobotDescription:
        """Bodies, joints, drives and default pose."""
        return read_description(self.description_file)

    @cached_property
    def revision(self) -> str:
        """SHA-256 of the description file, by which a policy knows what it was trained with."""
        return hashlib.sha256(self.description_file.read_bytes()).hexdigest()

    @cached_property
    def sole(self) -> tuple[float, float, float, float]:
        """Where the left sole begins and ends along x, then y of its foot [m]: the bounds of the foot's shapes."""
        shapes = self.description.body(self.feet[0]).collision
        x_low, y_low, _ = np.min([shape.pos - shape.reach for shape in shapes], axis=0).tolist()
        x_high, y_high, _ = np.max([shape.pos + shape.reach for shape in shapes], axis=0).tolist()
        return x_low, x_high, y_low, y_high

    @property
    def source(self) -> str:
        """What the description file says about itself: model and where its numbers come from; empty if nothing."""
        said = json.loads(self.description_file.read_text())
        return "; ".join(said[key] for key in ("robot", "source", "changes") if key in said)

    @property
    def root(self) -> str:
        """Name of the floating body."""
        return self.description.bodies[0].name

    @cached_property
    def joints(self) -> Mapping[str, list[str]]:
        """Names of the joints of every group in `JOINT_GROUPS`.

        Raises:
            ValueError: If a regular expression matches no joint.
        """
        return {group: matching(getattr(self, group), self.description.joint_names) for group in JOINT_GROUPS}

    @cached_property
    def bodies(self) -> Mapping[str, list[str]]:
        """Names of the bodies of every part: `torso`, `feet`, and `off_ground`, which must not touch the ground.

        Raises:
            ValueError: If a body does not exist.
        """
        names = self.description.body_names
        if unknown := {self.torso, *self.feet} - set(names):
            raise ValueError(f"the robot {self.name} has no bodies {sorted(unknown)}; it has {list(names)}")
        grounded = matching(self.ground_bodies, names)
        off_ground = [name for name in names if name not in grounded]
        return {"torso": [self.torso], "feet": list(self.feet), "off_ground": off_ground}

    def lacks(self, part: str) -> bool:
        """Return whether the robot has no joint or body of this part.

        Raises:
            ValueError: If robots have no such part.
        """
        parts = {**self.joints, **self.bodies}
        if part not in parts:
            raise ValueError(f"a robot has no part '{part}'; its parts are {', '.join(parts)}{nearest(part, parts)}")
        return not parts[part]
