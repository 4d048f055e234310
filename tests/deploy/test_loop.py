"""What happens to a robot from its first sensor values to the end."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from rlmpc.deploy.commands import BY_OPERATOR, Request
from rlmpc.deploy.gamepad import GONE
from rlmpc.deploy.robot import Mode
from rlmpc.export.deployment import load_deployment

BAD_STEP = 10
"""Step of the policy in which something goes wrong."""


def is_damped(drive) -> bool:
    return (drive.stiffness == 0.0).all() and (drive.damping == 5.0).all()


def spoilt(state, **changes):
    return replace(state, **changes)


def with_joint(state, field: str, index: int, value: float):
    values = getattr(state, field).copy()
    values[index] = value
    return replace(state, **{field: values})


def test_a_robot_is_damped_stands_up_walks_and_is_damped(deployment, robot, loop_of):
    robot.pos[:] += 0.2
    loop = loop_of(deployment, robot)
    robot_pos, write = robot.pos, robot.write

    def obey(drive):
        write(drive)
        if drive.stiffness.any():
            robot_pos[:] = drive.targets

    robot.write = obey
    assert loop.run() == "finished"
    assert robot.modes == [Mode.DAMPING, Mode.STAND_UP, Mode.POLICY, Mode.DAMPING]
    stiff = [drive for drive in robot.written if not is_damped(drive)]
    assert len(stiff) == pytest.approx((0.5 + 1.0) / 0.02, abs=2)
    np.testing.assert_array_equal(stiff[0].stiffness, deployment.contract.joints["stiffness"])
    # It stands up evenly, from where it hung.
    np.testing.assert_allclose(stiff[0].targets, np.array(deployment.contract.joints["default_pos"]) + 0.2, atol=0.02)
    assert max(np.abs(b.targets - a.targets).max() for a, b in pairwise(stiff)) < 0.02
    assert is_damped(robot.written[-1])


FAULTS = {
    "tilt": (lambda s: spoilt(s, quat_wxyz=np.array([0.9, 0.436, 0.0, 0.0])), "tilted by 0.90 rad"),
    "joint limit": (lambda s: with_joint(s, "joint_pos", 3, 4.0), "left_knee_joint is 1.12 rad beyond its limit"),
    "stale sensors": (lambda s: spoilt(s, time=s.time - 0.05), "the sensors are 50 ms old"),
    "IMU that has not begun": (lambda s: spoilt(s, quat_wxyz=np.zeros(4)), "an orientation that is none"),
    "sensor not finite": (lambda s: with_joint(s, "joint_vel", 0, np.nan), "not finite"),
}


@pytest.mark.parametrize(("fault", "reason"), FAULTS.values(), ids=FAULTS)
def test_a_fault_ends_in_damping_within_two_control_steps(deployment, robot, loop_of, fault, reason):
    robot.sense = lambda state: fault(state) if robot.steps_in_policy >= BAD_STEP else state
    assert reason in loop_of(deployment, robot).run()
    check_stopped(robot)


def check_stopped(robot, at: int = BAD_STEP) -> None:
    """The policy acted until the fault, at most one step after it was sensed, and the robot is damped for a second."""
    assert robot.modes[-2:] == [Mode.POLICY, Mode.DAMPING]
    acted = [step for drive, step in zip(robot.written, robot.steps, strict=True) if not is_damped(drive)]
    assert at - 1 <= acted[-1] <= at
    assert all(is_damped(drive) for drive in robot.written[-50:])


def test_torque_at_its_limit_ends_in_damping_once_it_has_lasted(deployment, robot, loop_of):
    robot.sense = lambda s: with_joint(s, "joint_torque", 3, -139.0) if robot.steps_in_policy >= BAD_STEP else s
    assert (
        loop_of(deployment, robot, max_torque_s=0.1).run() == "left_knee_joint has pushed with all its torque for 0.1 s"
    )
    check_stopped(robot, BAD_STEP + 6)


def test_a_short_push_is_no_fault(deployment, robot, loop_of):
    robot.sense = lambda s: with_joint(s, "joint_torque", 3, -139.0) if robot.steps_in_policy % 5 else s
    assert loop_of(deployment, robot, max_torque_s=0.1).run() == "finished"


def miss_one_deadline(robot, clock) -> None:
    """Let one step of the policy take longer than there is time."""
    write = robot.write

    def slow(drive):
        write(drive)
        if robot.steps_in_policy == BAD_STEP:
            clock.time += 0.025

    robot.write = slow


def test_a_missed_deadline_ends_in_damping_within_two_control_steps(deployment, robot, loop_of, clock):
    miss_one_deadline(robot, clock)
    loop = loop_of(deployment, robot)
    assert loop.run() == "deadlines missed one after the other: 1"
    assert loop.timing.num_missed == 1
    check_stopped(robot)


def test_missed_deadlines_may_be_allowed_and_the_schedule_goes_on_from_there(deployment, robot, loop_of, clock):
    miss_one_deadline(robot, clock)
    loop = loop_of(deployment, robot, max_missed=2)
    assert loop.run() == "finished"
    assert loop.timing.num_missed == 1


def test_an_action_that_is_not_finite_is_never_written(export, robot, loop_of, senseless):
    assert loop_of(load_deployment(export(senseless)), robot).run() == "an action of the policy is not finite"
    assert robot.modes[-2:] == [Mode.POLICY, Mode.DAMPING]
    assert robot.steps_in_policy == 0


@pytest.mark.parametrize(("asked", "reason"), [(BY_OPERATOR, "stopped by the operator"), (GONE, "the gamepad is gone")])
def test_who_asks_to_stop_damps_it_within_two_control_steps(deployment, robot, loop_of, asking, asked, reason):
    def stop(state):
        if robot.steps_in_policy >= BAD_STEP:
            asking.request = Request((0.0, 0.0, 0.0), stop=asked)
        return state

    robot.sense = stop
    assert loop_of(deployment, robot).run() == reason
    check_stopped(robot)


def test_ctrl_c_damps(deployment, robot, loop_of):
    def interrupt(state):
        if robot.steps_in_policy == BAD_STEP:
            raise KeyboardInterrupt
        return state

    robot.sense = interrupt
    assert loop_of(deployment, robot).run() == "stopped by Ctrl-C"
    check_stopped(robot)


def test_an_error_of_the_code_damps_before_it_is_raised(deployment, robot, loop_of):
    def fail(state):
        raise ZeroDivisionError

    robot.sense = fail
    with pytest.raises(ZeroDivisionError):
        loop_of(deployment, robot).run()
    assert is_damped(robot.written[-1])


def test_nothing_goes_on_until_the_operator_asks(deployment, robot, loop_of, asking, clock):
    asking.request = Request((0.0, 0.0, 0.0))
    read = robot.read

    def stop_later():
        if clock.now() > 110.0:
            asking.request = Request((0.0, 0.0, 0.0), stop=BY_OPERATOR)
        return read()

    robot.read = stop_later
    loop_of(deployment, robot).run()
    assert robot.modes == [Mode.DAMPING, Mode.DAMPING]
    assert all(is_damped(drive) for drive in robot.written)


def test_a_joint_that_does_not_stand_up_is_named(deployment, robot, loop_of):
    robot.pos[3] = 0.0
    assert loop_of(deployment, robot).run() == "left_knee_joint is stuck, 0.67 rad from where it should stand"
    assert Mode.POLICY not in robot.modes
    assert is_damped(robot.written[-1])
