"""Reads a robot's description from its JSON file; `docs/add-a-robot.md` describes the format."""

import json
from functools import cache
from pathlib import Path

import numpy as np

from rlmpc.robots.description import Actuator, Body, CollisionShape, Joint, RobotDescription
from rlmpc.robots.quaternions import unit


@cache
def read_description(path: Path) -> RobotDescription:
    """Read a robot from its JSON file.

    Raises:
        ValueError: If a body comes before its parent.
    """
    data = json.loads(path.read_text())
    bodies = tuple(_read_body(entry) for entry in data["bodies"])
    seen: set[str | None] = {None}
    for body in bodies:
        if body.parent not in seen:
            raise ValueError(f"'{path}': the body {body.name} stands before its parent {body.parent}")
        seen.add(body.name)
    return RobotDescription(
        name=data["robot"],
        bodies=bodies,
        actuators=tuple(_read_actuator(entry) for entry in data["actuators"]),
        default_joint_pos_patterns=data["default_pose"]["joints"],
        default_root_height=data["default_pose"]["root_height_m"],
    )


def _read_body(entry: dict) -> Body:
    is_root = entry["parent"] == "world"
    joint = entry.get("joint")
    return Body(
        name=entry["name"],
        parent=None if is_root else entry["parent"],
        # The source places the root in the world; here the initial state does.
        pos=(0.0, 0.0, 0.0) if is_root else tuple(entry["pos"]),
        quat_wxyz=tuple(unit(entry["quat_wxyz"])),
        mass=entry["mass"],
        com=tuple(entry["com"]),
        inertia_quat_wxyz=tuple(unit(entry["inertia_quat_wxyz"])),
        diag_inertia=tuple(entry["diag_inertia"]),
        joint=joint and Joint(joint["name"], tuple(joint["axis"]), *joint["range_rad"]),
        collision=tuple(_read_shape(shape) for shape in entry["collision"]),
    )


def _read_shape(entry: dict) -> CollisionShape:
    name, kind = entry["name"], entry["type"]
    upright = (1.0, 0.0, 0.0, 0.0)
    if kind == "sphere":
        return CollisionShape(name, kind, (entry["radius"],), tuple(entry["pos"]), upright)
    if kind == "box":
        return CollisionShape(name, kind, tuple(entry["half_extents"]), tuple(entry["pos"]), upright)
    start, end = np.array(entry["from"]), np.array(entry["to"])
    length = float(np.linalg.norm(end - start))
    # Shortest turn from z to the segment: (1 + z.d, z x d), normalised; head to tail is the same capsule.
    direction = (end - start) / length * (1.0 if end[2] >= start[2] else -1.0)
    turn = unit((1.0 + direction[2], -direction[1], direction[0], 0.0))
    centre = (start + end) / 2.0
    return CollisionShape(name, kind, (entry["radius"], length / 2.0), tuple(centre.tolist()), tuple(turn.tolist()))


def _read_actuator(entry: dict) -> Actuator:
    return Actuator(
        name=entry["name"],
        joints=tuple(entry["joints"]),
        effort_limit=entry["effort_limit_nm"],
        velocity_limit=entry["velocity_limit_rad_s"],
        armature=entry["armature_kg_m2"],
        stiffness=entry["stiffness_nm_rad"],
        damping=entry["damping_nm_s_rad"],
    )
