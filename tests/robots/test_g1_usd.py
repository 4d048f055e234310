"""The USD prims written from the G1's description, on a stage in memory; no simulation."""

import math

import pytest

from rlmpc.robots.g1.config import G1 as ROBOT

Usd = pytest.importorskip("pxr.Usd")
UsdGeom = pytest.importorskip("pxr.UsdGeom")
UsdPhysics = pytest.importorskip("pxr.UsdPhysics")

from rlmpc.robots import usd  # noqa: E402 - needs pxr, so only after the skips

G1 = ROBOT.description


@pytest.fixture(scope="module")
def stage():
    """A stage in memory with the robot at /Robot."""
    stage = Usd.Stage.CreateInMemory()
    usd.author_robot(stage, "/Robot", G1)
    return stage


def test_joints_have_limits_in_degrees_and_join_child_to_parent(stage):
    knee = UsdPhysics.RevoluteJoint(stage.GetPrimAtPath("/Robot/joints/left_knee_joint"))
    assert knee.GetUpperLimitAttr().Get() == pytest.approx(math.degrees(2.8798), abs=1e-4)
    assert knee.GetLowerLimitAttr().Get() == pytest.approx(math.degrees(-0.087267), abs=1e-4)
    assert knee.GetAxisAttr().Get() == "Y"
    assert [str(path) for path in knee.GetBody0Rel().GetTargets()] == ["/Robot/left_hip_yaw_link"]
    assert [str(path) for path in knee.GetBody1Rel().GetTargets()] == ["/Robot/left_knee_link"]
    assert len(stage.GetPrimAtPath("/Robot/joints").GetChildren()) == 29


def test_bodies_add_up_to_the_total_mass(stage):
    bodies = [prim for prim in stage.GetPrimAtPath("/Robot").GetChildren() if prim.HasAPI(UsdPhysics.RigidBodyAPI)]
    masses = [UsdPhysics.MassAPI(prim).GetMassAttr().Get() for prim in bodies]
    assert len(bodies) == 30
    assert sum(masses) == pytest.approx(33.341142, abs=1e-5)


def test_bodies_stand_where_forward_kinematics_puts_them(stage):
    for name, (pos, _) in G1.body_poses({}).items():
        transform = UsdGeom.Xformable(stage.GetPrimAtPath(f"/Robot/{name}")).GetLocalTransformation()
        assert list(transform.ExtractTranslation()) == pytest.approx(pos.tolist(), abs=1e-9), name


def test_foot_box_has_the_extents_of_the_description(stage):
    box = UsdGeom.Cube(stage.GetPrimAtPath("/Robot/left_ankle_roll_link/left_foot_collision"))
    transform = box.GetLocalTransformation()
    corner = transform.Transform((box.GetSizeAttr().Get() / 2.0,) * 3)
    assert list(corner) == pytest.approx([0.035 + 0.09, 0.03, -0.02 + 0.015], abs=1e-6)


def test_articulation_root_is_the_pelvis_with_self_collision_off_unless_asked(stage):
    roots = [prim for prim in stage.Traverse() if prim.HasAPI(UsdPhysics.ArticulationRootAPI)]
    assert [prim.GetName() for prim in roots] == ["pelvis"]
    assert roots[0].GetAttribute("newton:selfCollisionEnabled").Get() is False

    colliding = Usd.Stage.CreateInMemory()
    usd.author_robot(colliding, "/Robot", G1, self_collision=True)
    assert colliding.GetPrimAtPath("/Robot/pelvis").GetAttribute("newton:selfCollisionEnabled").Get() is True


def test_collision_shapes_outrank_the_terrain_in_friction(stage):
    shapes = [prim for prim in stage.Traverse() if prim.HasAPI(UsdPhysics.CollisionAPI)]
    assert len(shapes) == sum(len(body.collision) for body in G1.bodies) == 21
    assert all(prim.GetAttribute("mjc:priority").Get() == 1 for prim in shapes)
