"""The G1's numbers and its kinematics; no simulation."""

import math

import numpy as np
import pytest

from rlmpc.robots.description import Actuator, RobotDescription
from rlmpc.robots.g1.config import G1 as ROBOT
from rlmpc.robots.quaternions import rotate

G1 = ROBOT.description


def describe(**changes: object) -> RobotDescription:
    """The G1 with some of its fields replaced."""
    fields = {
        "name": G1.name,
        "bodies": G1.bodies,
        "actuators": G1.actuators,
        "default_joint_pos_patterns": G1.default_joint_pos_patterns,
        "default_root_height": G1.default_root_height,
    }
    return RobotDescription(**{**fields, **changes})


def lowest_point_of_feet(joint_pos: dict[str, float]) -> float:
    """[m] height of the lowest corner of the foot boxes, in the pelvis frame."""
    corners = np.array(np.meshgrid(*[(-1.0, 1.0)] * 3)).reshape(3, -1).T
    poses = G1.body_poses(joint_pos)
    heights = []
    for body in G1.bodies:
        pos, quat = poses[body.name]
        boxes = [shape for shape in body.collision if shape.kind == "box"]
        heights += [(pos + rotate(quat, box.pos + corner * box.size))[2] for box in boxes for corner in corners]
    return min(heights)


def test_total_mass_is_that_of_the_source():
    assert G1.total_mass == pytest.approx(33.341142, abs=1e-6)


def test_joints_are_listed_legs_waist_arms_each_from_the_root_outwards():
    leg = ("hip_pitch", "hip_roll", "hip_yaw", "knee", "ankle_pitch", "ankle_roll")
    arm = ("shoulder_pitch", "shoulder_roll", "shoulder_yaw", "elbow", "wrist_roll", "wrist_pitch", "wrist_yaw")
    expected = [f"left_{part}_joint" for part in leg] + [f"right_{part}_joint" for part in leg]
    expected += ["waist_yaw_joint", "waist_roll_joint", "waist_pitch_joint"]
    expected += [f"left_{part}_joint" for part in arm] + [f"right_{part}_joint" for part in arm]
    assert list(G1.joint_names) == expected


def test_every_parent_stands_before_its_children():
    order: dict[str | None, int] = {name: index for index, name in enumerate(G1.body_names)}
    assert len(order) == 30
    assert G1.bodies[0].parent is None
    assert all(order[body.parent] < order[body.name] for body in G1.bodies[1:])


def test_joint_limits_are_those_of_the_source():
    limits = {joint.name: (joint.lower, joint.upper) for joint in G1.joints}
    assert limits["left_knee_joint"] == (-0.087267, 2.8798)
    assert limits["left_hip_roll_joint"] == (-0.5236, 2.9671)
    assert limits["right_hip_roll_joint"] == (-2.9671, 0.5236)
    assert limits["right_ankle_pitch_joint"] == (-0.87267, 0.5236)


def test_each_foot_is_one_box_whose_sole_is_35_mm_below_the_ankle():
    for side in ("left", "right"):
        (box,) = next(body for body in G1.bodies if body.name == f"{side}_ankle_roll_link").collision
        assert (box.kind, box.size, box.pos) == ("box", (0.09, 0.03, 0.015), (0.035, 0.0, -0.02))


def test_capsules_end_where_the_source_says():
    (hand,) = next(body for body in G1.bodies if body.name == "right_wrist_yaw_link").collision
    radius, half_length = hand.size
    ends = [hand.pos + rotate(hand.quat_wxyz, (0.0, 0.0, sign * half_length)) for sign in (-1.0, 1.0)]
    assert radius == 0.035
    assert np.allclose(sorted(end.tolist() for end in ends), [(0.07, 0.0, 0.0), (0.15, 0.02, 0.0)], atol=1e-9)


def test_default_pose_bends_the_knees_and_leaves_unnamed_joints_at_zero():
    pose = G1.default_joint_pos
    assert len(pose) == 29
    assert pose["left_knee_joint"] == pose["right_knee_joint"] == 0.669
    assert pose["left_hip_pitch_joint"] == -0.312
    assert (pose["left_shoulder_roll_joint"], pose["right_shoulder_roll_joint"]) == (0.2, -0.2)
    assert pose["waist_yaw_joint"] == pose["left_ankle_roll_joint"] == 0.0


def test_soles_just_clear_the_ground_in_the_default_pose():
    clearance = G1.default_root_height + lowest_point_of_feet(G1.default_joint_pos)
    assert 0.0 < clearance < 0.005


def test_default_pose_lies_within_the_soft_joint_limits():
    for joint in G1.joints:
        centre, half_range = (joint.upper + joint.lower) / 2.0, (joint.upper - joint.lower) / 2.0
        assert abs(G1.default_joint_pos[joint.name] - centre) < 0.9 * half_range, joint.name


def test_each_joint_has_the_drive_of_its_motor():
    knee, ankle = G1.actuator_by_joint["left_knee_joint"], G1.actuator_by_joint["right_ankle_roll_joint"]
    assert (knee.effort_limit, knee.velocity_limit, knee.armature) == (139.0, 20.0, 0.025101925)
    assert (ankle.effort_limit, ankle.velocity_limit, ankle.stiffness) == (50.0, 37.0, 28.501246)
    assert list(G1.actuator_by_joint) == list(G1.joint_names)


def test_gains_are_those_of_a_10_hz_drive_with_damping_ratio_2():
    natural_frequency = 2.0 * math.pi * 10.0
    for actuator in G1.actuators:
        assert actuator.stiffness == pytest.approx(actuator.armature * natural_frequency**2, rel=1e-5)
        assert actuator.damping == pytest.approx(2.0 * 2.0 * actuator.armature * natural_frequency, rel=1e-5)


def test_a_unit_action_asks_for_a_quarter_of_the_effort_limit():
    assert G1.action_scale["left_knee_joint"] == pytest.approx(0.25 * 139.0 / 99.098428)
    assert G1.action_scale["left_wrist_yaw_joint"] == pytest.approx(0.25 * 5.0 / 16.778327)
    assert list(G1.action_scale) == list(G1.joint_names)


def test_a_joint_without_an_actuator_is_an_error():
    with pytest.raises(ValueError, match="left_elbow_joint"):
        describe(actuators=G1.actuators[1:]).actuator_by_joint  # noqa: B018 - the property itself raises


def test_a_joint_with_two_actuators_is_an_error():
    second = Actuator("second", ("left_knee_joint",), 1.0, 1.0, 1.0, 1.0, 1.0)
    with pytest.raises(ValueError, match=r"several patterns.*left_knee_joint"):
        describe(actuators=(*G1.actuators, second)).actuator_by_joint  # noqa: B018 - the property itself raises


def test_a_pose_pattern_that_matches_no_joint_is_an_error():
    with pytest.raises(ValueError, match="left_tail_joint"):
        describe(default_joint_pos_patterns={"left_tail_joint": 0.1}).default_joint_pos  # noqa: B018


def test_at_zero_angles_the_foot_hangs_below_the_hip_by_the_sum_of_the_link_offsets():
    pos, quat = G1.body_poses({})["left_ankle_roll_link"]
    # The hip roll link is pitched back by 2 atan(0.0873386 / 0.996179) and the knee link forward by as much, so the
    # two links between them (0.025001, -0.12412) and (-0.078273, -0.17734) are turned, the others hang straight.
    tilt = -2.0 * math.atan2(0.0873386, 0.996179)
    x = 0.025001 - 0.078273
    z = -0.12412 - 0.17734
    expected_x = math.cos(tilt) * x + math.sin(tilt) * z
    expected_z = -0.1027 - 0.030465 - math.sin(tilt) * x + math.cos(tilt) * z - 0.30001 - 0.017558
    expected_y = 0.064452 + 0.052 + 0.0021489 - 0.0000944
    assert pos == pytest.approx([expected_x, expected_y, expected_z], abs=1e-6)
    assert quat == pytest.approx([1.0, 0.0, 0.0, 0.0], abs=1e-6)


def test_a_right_angle_at_the_hip_swings_the_straight_leg_forward():
    straight = G1.body_poses({})
    swung = G1.body_poses({"left_hip_pitch_joint": -math.pi / 2.0})
    hip = straight["left_hip_pitch_link"][0]
    x, y, z = straight["left_ankle_roll_link"][0] - hip
    assert swung["left_ankle_roll_link"][0] - hip == pytest.approx([-z, y, x], abs=1e-9)
    assert swung["right_ankle_roll_link"][0] == pytest.approx(straight["right_ankle_roll_link"][0])


def test_kinematics_refuse_an_unknown_joint():
    with pytest.raises(ValueError, match="left_ellbow_joint"):
        G1.body_poses({"left_ellbow_joint": 0.1})
