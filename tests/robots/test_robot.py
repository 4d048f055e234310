"""What a robot's parts are, by name; no simulation."""

from dataclasses import replace

import pytest

from rlmpc.errors import UserError
from rlmpc.robots.description import CollisionShape
from rlmpc.robots.g1.config import G1
from rlmpc.robots.robot import JOINT_GROUPS
from rlmpc.robots.table import ROBOTS, robot_named


@pytest.mark.parametrize("robot", ROBOTS.values(), ids=ROBOTS)
def test_every_robot_of_the_table_has_the_parts_that_it_names(robot):
    assert robot_named(robot.name) is robot
    assert list(robot.joints) == list(JOINT_GROUPS)
    assert not robot.lacks("torso")


def test_groups_of_the_g1_pick_the_intended_joints_and_bodies():
    assert [len(G1.joints[group]) for group in JOINT_GROUPS] == [14, 3, 4, 4, 2, 3]
    assert (G1.root, G1.bodies["torso"]) == ("pelvis", ["torso_link"])
    assert G1.bodies["feet"] == ["left_ankle_roll_link", "right_ankle_roll_link"]
    grounded = set(G1.description.body_names) - set(G1.bodies["off_ground"])
    assert grounded == {f"{side}_ankle_{axis}_link" for side in ("left", "right") for axis in ("pitch", "roll")}


def test_a_group_without_joints_is_a_part_that_the_robot_lacks(biped):
    assert biped.lacks("arms") and not biped.lacks("ankles")
    with pytest.raises(ValueError, match=r"a robot has no part 'angles'; .*did you mean 'ankles'"):
        biped.lacks("angles")


def test_names_that_the_description_does_not_have_are_refused():
    with pytest.raises(ValueError, match=r"patterns \['tail_.*'\] match none"):
        _ = replace(G1, arms=("tail_.*",)).joints
    with pytest.raises(ValueError, match=r"has no bodies \['chest'\]"):
        _ = replace(G1, torso="chest").bodies


def test_the_sole_is_what_the_shape_of_the_foot_covers(biped):
    assert G1.sole == pytest.approx((-0.055, 0.125, -0.03, 0.03))
    assert biped.sole == pytest.approx((-0.06, 0.12, -0.04, 0.04))


@pytest.mark.parametrize(
    ("kind", "size", "quat_wxyz", "reach"),
    [
        ("sphere", (0.1,), (1, 0, 0, 0), (0.1, 0.1, 0.1)),
        ("box", (0.1, 0.2, 0.3), (1, 0, 0, 0), (0.1, 0.2, 0.3)),
        # Turned by a right angle about x.
        ("box", (0.1, 0.2, 0.3), (0.5**0.5, 0.5**0.5, 0, 0), (0.1, 0.3, 0.2)),
        ("capsule", (0.1, 0.3), (1, 0, 0, 0), (0.1, 0.1, 0.4)),
        ("capsule", (0.1, 0.3), (0.5**0.5, 0.5**0.5, 0, 0), (0.1, 0.4, 0.1)),
    ],
)
def test_a_shape_reaches_as_far_as_it_is_turned(kind, size, quat_wxyz, reach):
    assert CollisionShape("foot", kind, size, (0.0, 0.0, 0.0), quat_wxyz).reach == pytest.approx(reach)


def test_an_unknown_robot_is_refused():
    with pytest.raises(UserError, match="unknown robot 'g1'; known: g1_29dof"):
        robot_named("g1")
