"""Facts that the controller takes from a robot's description."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rlmpc.errors import UserError
from rlmpc.mpc.robot import MpcRobot
from rlmpc.robots.g1.config import G1


def test_facts_of_the_g1_are_those_of_its_description():
    facts = MpcRobot.of(G1)
    assert facts.mass == pytest.approx(33.341, abs=1e-3)
    np.testing.assert_allclose(facts.inertia, [[3.523, 0, 0.274], [0, 3.162, 0], [0.274, 0, 0.542]], atol=1.5e-3)
    np.testing.assert_allclose(facts.sole, [[0.035, 0, -0.035]] * 2)
    assert facts.sole_half_size.tolist() == [0.09, 0.03]
    names = G1.description.joint_names
    assert [names[index] for index in facts.leg_joints[1]] == [
        f"right_{part}_joint" for part in ("hip_pitch", "hip_roll", "hip_yaw", "knee", "ankle_pitch", "ankle_roll")
    ]


def test_drives_leave_the_legs_to_the_controller_and_hold_the_waist_stiffer():
    facts, drives = MpcRobot.of(G1), G1.description.actuator_by_joint
    assert not facts.stiffness[facts.leg_joints].any() and not facts.damping[facts.leg_joints].any()
    waist, elbow = (G1.description.joint_names.index(f"{name}_joint") for name in ("waist_yaw", "left_elbow"))
    assert facts.stiffness[waist] == pytest.approx(10.0 * drives["waist_yaw_joint"].stiffness)
    assert facts.damping[waist] == pytest.approx(10.0**0.5 * drives["waist_yaw_joint"].damping)
    assert facts.stiffness[elbow] == drives["left_elbow_joint"].stiffness


def test_a_robot_with_other_legs_is_refused_in_one_sentence(biped):
    with pytest.raises(UserError, match="legs have 6 joints each between root and foot; biped has 3 to foot_left"):
        MpcRobot.of(biped)


def test_a_robot_without_flat_soles_is_refused_in_one_sentence(tmp_path):
    text = G1.description_file.read_text().replace(
        '"type": "box", "half_extents": [0.09, 0.03, 0.015]', '"type": "sphere", "radius": 0.03'
    )
    (tmp_path / "robot.json").write_text(text)
    with pytest.raises(
        UserError, match="one upright box as the collision shape of each foot; g1_29dof has sphere at left"
    ):
        MpcRobot.of(replace(G1, description_file=tmp_path / "robot.json"))
