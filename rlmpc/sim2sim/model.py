"""The robot and the ground as a MuJoCo model, with the physics settings that the policy was trained with."""

# MuJoCo fills its module from compiled ones, which pyright cannot read.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import mujoco
import numpy as np

from rlmpc.contract.world import World
from rlmpc.errors import UserError
from rlmpc.robots.description import Body, CollisionShape
from rlmpc.robots.robot import Robot
from rlmpc.sim2sim.ground import Ground

GROUND_GROUP = 0
"""Geom group of the ground; the robot's geoms are in `ROBOT_GROUP`."""
ROBOT_GROUP = 1

_FRICTION = 1.0
"""Nominal friction of the robot, which alone decides the friction of a contact."""

_LIMIT_STIFFNESS, _LIMIT_DAMPING = 1.0e4, 10.0
"""Stiffness and damping of the joint limits [N m/rad, N m s/rad]: Newton's defaults, which training keeps."""

_SHAPES = {
    "sphere": mujoco.mjtGeom.mjGEOM_SPHERE,
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
    "box": mujoco.mjtGeom.mjGEOM_BOX,
}
_COLOURS = {"sphere": (0.2, 0.2, 0.2, 1.0), "capsule": (0.7, 0.7, 0.7, 1.0), "box": (0.2, 0.2, 0.2, 1.0)}


def build_model(
    robot: Robot, joints: Mapping[str, Any], control_dt: float, world: World, ground: Ground
) -> mujoco.MjModel:
    """Build a floating robot with position drives above the ground.

    Bodies, inertias, limits and collision shapes come from the robot's description, drives from the policy's contract.

    Args:
        robot: the robot to build.
        joints: the contract's `joints`: `names`, and `stiffness`, `damping`, `armature`, `effort_limit` in that order.
        control_dt: seconds between two actions.
        world: solver settings, number of physics steps in a control step, and stiffness of contacts.
        ground: the ground to stand on.

    Returns:
        Model whose actuators are in the order of `joints["names"]` and take targets [rad].

    Raises:
        UserError: if the joints are not the robot's.
    """
    _check_joints(robot, joints["names"])
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    _set_physics(spec, control_dt, world)
    _set_light(spec)
    contact = _solref(world.contact_stiffness, world.contact_damping)
    _add_ground(spec, ground, contact)
    parents: dict[str | None, mujoco.MjsBody] = {None: spec.worldbody}
    for body in robot.description.bodies:
        parents[body.name] = _add_body(parents[body.parent], body, contact)
    _add_drives(spec, joints)
    model = spec.compile()
    _set_stops(model)
    return model


def _check_joints(robot: Robot, names: list[str]) -> None:
    ours = robot.description.joint_names
    if sorted(names) != sorted(ours):
        unknown, missing = sorted(set(names) - set(ours)), sorted(set(ours) - set(names))
        raise UserError(
            f"the policy was made for another robot: {robot.name} has {len(ours)} joints and the policy {len(names)}; "
            f"unknown here: {unknown or 'none'}, missing there: {missing or 'none'}"
        )


def _set_physics(spec: mujoco.MjSpec, control_dt: float, world: World) -> None:
    spec.option.timestep = control_dt / world.num_substeps
    spec.option.gravity = world.gravity
    spec.option.integrator = _choice(mujoco.mjtIntegrator, "mjINT", world.integrator)
    spec.option.cone = _choice(mujoco.mjtCone, "mjCONE", world.cone)
    spec.option.impratio = world.impratio
    # A state that is not finite must end the episode; MuJoCo would reset it silently.
    spec.option.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET


def _choice(kind: Any, prefix: str, name: str) -> Any:
    """Return one of MuJoCo's constants by its name in MJCF, which Isaac Lab's solver uses, too."""
    known = {constant.removeprefix(f"{prefix}_").lower(): constant for constant in kind.__members__}
    return kind.__members__[known[name]]


def _set_light(spec: mujoco.MjSpec) -> None:
    """Add sky and lights for films; MuJoCo's own sky is black and its lights are dim."""
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=(0.8, 0.87, 0.95),
        rgb2=(0.45, 0.6, 0.8),
        width=256,
        height=256,
    )
    spec.visual.headlight.ambient = (0.5, 0.5, 0.5)
    spec.visual.headlight.diffuse = (0.5, 0.5, 0.5)
    spec.worldbody.add_light(
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        pos=(0.0, 0.0, 10.0),
        dir=(0.3, 0.2, -1.0),
        diffuse=(0.5, 0.5, 0.5),
    )


def _add_ground(spec: mujoco.MjSpec, ground: Ground, contact: tuple[float, float]) -> None:
    spec.add_texture(
        name="ground",
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        rgb1=(0.60, 0.57, 0.53),
        rgb2=(0.47, 0.44, 0.40),
        width=256,
        height=256,
    )
    material = spec.add_material(name="ground", texuniform=True)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "ground"
    for box in ground.boxes:
        spec.worldbody.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=box.centre,
            size=box.half_size,
            material="ground",
            group=GROUND_GROUP,
            contype=0,
            conaffinity=1,
            solref=contact,
        )


def _add_body(parent: mujoco.MjsBody, body: Body, contact: tuple[float, float]) -> mujoco.MjsBody:
    added = parent.add_body(
        name=body.name,
        pos=body.pos,
        quat=body.quat_wxyz,
        mass=body.mass,
        ipos=body.com,
        iquat=body.inertia_quat_wxyz,
        inertia=body.diag_inertia,
        explicitinertial=True,
    )
    if body.joint is None:
        added.add_freejoint(name=body.name)
    else:
        added.add_joint(
            name=body.joint.name,
            type=mujoco.mjtJoint.mjJNT_HINGE,
            axis=body.joint.axis,
            limited=True,
            range=(body.joint.lower, body.joint.upper),
        )
    for shape in body.collision:
        _add_shape(added, shape, contact)
    return added


def _add_shape(body: mujoco.MjsBody, shape: CollisionShape, contact: tuple[float, float]) -> None:
    body.add_geom(
        name=shape.name,
        type=_SHAPES[shape.kind],
        size=(*shape.size, *[0.0] * (3 - len(shape.size))),
        pos=shape.pos,
        quat=shape.quat_wxyz,
        rgba=_COLOURS[shape.kind],
        group=ROBOT_GROUP,
        # Collides with the ground only: the robot's links do not collide with each other.
        contype=1,
        conaffinity=0,
        friction=(_FRICTION, 0.005, 0.0001),
        priority=1,
        solref=contact,
    )


def _add_drives(spec: mujoco.MjSpec, joints: Mapping[str, Any]) -> None:
    columns = (joints[key] for key in ("names", "stiffness", "damping", "armature", "effort_limit"))
    for name, stiffness, damping, armature, effort_limit in zip(*columns, strict=True):
        joint = spec.joint(name)
        joint.armature = armature
        joint.actfrclimited = True
        joint.actfrcrange = (-effort_limit, effort_limit)
        drive = spec.add_actuator(name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        drive.set_to_position(kp=stiffness, kv=damping)


def _set_stops(model: mujoco.MjModel) -> None:
    """Set stiffness and damping of the joint limits, which MuJoCo takes relative to the inertia at the joint.

    See "Solver parameters" in MuJoCo's documentation: a constraint's force per unit of reference acceleration is
    1 / (inverse inertia x (1 - impedance)).
    """
    is_hinge = model.jnt_type == mujoco.mjtJoint.mjJNT_HINGE
    inverse_inertia = model.dof_invweight0[model.jnt_dofadr]
    factors = inverse_inertia * (1.0 - model.jnt_solimp[:, 1])
    for joint in np.flatnonzero(is_hinge):
        model.jnt_solref[joint] = _solref(_LIMIT_STIFFNESS * factors[joint], _LIMIT_DAMPING * factors[joint])


def _solref(stiffness: float, damping: float) -> tuple[float, float]:
    """Return MuJoCo's time constant [s] and damping ratio for a stiffness and a damping per unit of mass."""
    return 2.0 / damping, 0.5 * damping / math.sqrt(stiffness)
