"""Writes a robot description as USD physics prims.

The layout is flat: `<root>/<body>`, `<root>/<body>/<shape>` and `<root>/joints/<joint>`, with the bodies in their
poses at joint angles zero and the root body at the origin of `<root>`. Joint drives are absent on purpose: gains,
armature and effort limits come from the actuator config of the articulation.
"""

# The type stubs of pxr declare that its constructors and accessors return None.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

import math

from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics

from rlmpc.robots.description import Body, CollisionShape, RobotDescription, Vector

_LIGHT_GREY = Gf.Vec3f(0.7)
_DARK_GREY = Gf.Vec3f(0.2)


def author_robot(
    stage: Usd.Stage, prim_path: str, description: RobotDescription, *, self_collision: bool = False
) -> Usd.Prim:
    """Write the robot under `prim_path`, which is created if it does not exist, and return that prim.

    `self_collision` says whether the robot's own links collide with each other.
    """
    root = UsdGeom.Xform.Define(stage, prim_path)
    UsdGeom.Scope.Define(stage, f"{prim_path}/joints")
    poses = description.body_poses({})
    for body in description.bodies:
        prim = UsdGeom.Xform.Define(stage, f"{prim_path}/{body.name}")
        _place(prim, *(tuple(part.tolist()) for part in poses[body.name]))
        _author_inertia(prim.GetPrim(), body)
        for shape in body.collision:
            _author_shape(stage, f"{prim_path}/{body.name}/{shape.name}", shape)
        if body.joint is not None:
            _author_joint(stage, prim_path, body)
    _author_articulation_root(stage.GetPrimAtPath(f"{prim_path}/{description.bodies[0].name}"), self_collision)
    return root.GetPrim()


def _author_articulation_root(prim: Usd.Prim, self_collision: bool) -> None:
    UsdPhysics.ArticulationRootAPI.Apply(prim)
    # Applied by name, because the schema's Python class is not part of pxr.
    prim.AddAppliedSchema("NewtonArticulationRootAPI")
    prim.CreateAttribute("newton:selfCollisionEnabled", Sdf.ValueTypeNames.Bool).Set(self_collision)


def _author_inertia(prim: Usd.Prim, body: Body) -> None:
    UsdPhysics.RigidBodyAPI.Apply(prim)
    mass = UsdPhysics.MassAPI.Apply(prim)
    mass.CreateMassAttr(body.mass)
    mass.CreateCenterOfMassAttr(Gf.Vec3f(*body.com))
    mass.CreateDiagonalInertiaAttr(Gf.Vec3f(*body.diag_inertia))
    mass.CreatePrincipalAxesAttr(_quat(body.inertia_quat_wxyz))


def _author_joint(stage: Usd.Stage, prim_path: str, body: Body) -> None:
    assert body.joint is not None
    hinge = UsdPhysics.RevoluteJoint.Define(stage, f"{prim_path}/joints/{body.joint.name}")
    hinge.CreateBody0Rel().SetTargets([f"{prim_path}/{body.parent}"])
    hinge.CreateBody1Rel().SetTargets([f"{prim_path}/{body.name}"])
    hinge.CreateLocalPos0Attr(Gf.Vec3f(*body.pos))
    hinge.CreateLocalRot0Attr(_quat(body.quat_wxyz))
    hinge.CreateLocalPos1Attr(Gf.Vec3f(0.0))
    hinge.CreateLocalRot1Attr(Gf.Quatf(1.0))
    hinge.CreateAxisAttr("XYZ"[body.joint.axis.index(1.0)])
    hinge.CreateLowerLimitAttr(math.degrees(body.joint.lower))
    hinge.CreateUpperLimitAttr(math.degrees(body.joint.upper))


def _author_shape(stage: Usd.Stage, path: str, shape: CollisionShape) -> None:
    if shape.kind == "capsule":
        geom = UsdGeom.Capsule.Define(stage, path)
        geom.CreateAxisAttr(UsdGeom.Tokens.z)
        geom.CreateRadiusAttr(shape.size[0])
        geom.CreateHeightAttr(2.0 * shape.size[1])
    elif shape.kind == "sphere":
        geom = UsdGeom.Sphere.Define(stage, path)
        geom.CreateRadiusAttr(shape.size[0])
    else:
        geom = UsdGeom.Cube.Define(stage, path)
        geom.CreateSizeAttr(2.0)
    _place(geom, shape.pos, shape.quat_wxyz)
    if shape.kind == "box":
        geom.AddScaleOp().Set(Gf.Vec3f(*shape.size))
    geom.CreateDisplayColorAttr([_LIGHT_GREY if shape.kind == "capsule" else _DARK_GREY])
    prim = geom.GetPrim()
    UsdPhysics.CollisionAPI.Apply(prim)
    # MuJoCo takes the larger of two geoms' friction coefficients, so ground with mu = 1 would hide every lower value
    # of the robot; with a higher priority, the robot's geom decides alone.
    prim.CreateAttribute("mjc:priority", Sdf.ValueTypeNames.Int).Set(1)


def _place(xformable: UsdGeom.Xformable, pos: Vector, quat_wxyz: Vector) -> None:
    xformable.AddTranslateOp().Set(Gf.Vec3d(*pos))
    xformable.AddOrientOp().Set(_quat(quat_wxyz))


def _quat(quat_wxyz: Vector) -> Gf.Quatf:
    return Gf.Quatf(*quat_wxyz)
