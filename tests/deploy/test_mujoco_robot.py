"""A robot in MuJoCo at the pace of a clock."""

from __future__ import annotations

import numpy as np
import pytest

from rlmpc.deploy.mujoco_robot import MujocoRobot
from rlmpc.deploy.robot import Drive, Mode

ZEROS = np.zeros(29)


def test_physics_keeps_up_with_the_clock(contract, clock):
    robot = MujocoRobot(contract, clock, seed=1)
    clock.time += 0.0173
    state = robot.read()
    assert robot.simulation.data.time == pytest.approx(0.015)
    assert clock.time - state.time == pytest.approx(0.0023)


def test_a_damped_robot_hangs_on_its_gantry_and_sags(contract, clock):
    robot = MujocoRobot(contract, clock, seed=1)
    robot.enter(Mode.DAMPING)
    height = robot.simulation.root_pos[2]
    robot.write(Drive(ZEROS, ZEROS, np.full(29, 5.0)))
    clock.time += 2.0
    state = robot.read()
    assert abs(robot.simulation.root_pos[2] - height) < 0.1
    # No joint holds itself: the arms and knees hang, which they would not without weight.
    assert np.abs(state.joint_pos - robot.simulation.default_pos).max() > 0.2


def test_the_gantry_lets_it_down_to_its_feet_and_then_go(contract, clock):
    robot = MujocoRobot(contract, clock, seed=1)
    joints = contract.joints
    robot.enter(Mode.STAND_UP)
    robot.write(Drive(robot.simulation.default_pos, np.array(joints["stiffness"]), np.array(joints["damping"])))
    clock.time += 3.0
    state = robot.read()
    assert robot.simulation.root_pos[2] == pytest.approx(0.76, abs=0.03)
    np.testing.assert_allclose(state.joint_pos, robot.simulation.default_pos, atol=0.2)
    robot.enter(Mode.POLICY)
    robot.write(Drive(ZEROS, ZEROS, ZEROS))
    clock.time += 1.0
    robot.read()
    assert robot.simulation.root_pos[2] < 0.4


def test_a_robot_walks_nowhere_but_through_the_whole_loop(deployment, contract, clock, loop_of):
    loop = loop_of(deployment, MujocoRobot(contract, clock, seed=1), seconds=0.3, stand_up=3.0)
    assert loop.run() == "finished"
    assert loop.timing.num_missed == 0
