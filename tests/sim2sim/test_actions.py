"""From raw actions to joint targets and the gait clock."""

from __future__ import annotations

import numpy as np
import pytest

from rlmpc.contract.contract import Contract
from rlmpc.errors import UserError
from rlmpc.robots.g1.config import G1 as ROBOT
from rlmpc.sim2sim.actions import Actions

G1 = ROBOT.description


@pytest.fixture
def actions(contract) -> Actions:
    actions = Actions(contract)
    actions.reset(np.random.default_rng(0))
    return actions


def test_targets_are_the_offset_plus_the_scaled_action(actions):
    raw = np.zeros(30)
    raw[3] = 2.0
    targets = actions.process(raw)
    default = np.array(list(G1.default_joint_pos.values()))
    assert targets[3] - default[3] == pytest.approx(2.0 * G1.action_scale["left_knee_joint"])
    np.testing.assert_array_equal(np.delete(targets, 3), np.delete(default, 3))


def test_targets_are_in_the_order_of_the_joints_and_joints_without_action_keep_their_default(contract_data):
    names = contract_data["joints"]["names"]
    term = {"name": "joint_pos", "dim": 2, "joints": [names[7], names[2]], "scale": [1.0, 1.0], "offset": [0.0, 0.0]}
    targets = Actions(Contract.from_dict(contract_data | {"actions": [term]})).process(np.array([0.3, -0.4]))
    expected = np.array(contract_data["joints"]["default_pos"])
    expected[[7, 2]] = 0.3, -0.4
    np.testing.assert_array_equal(targets, expected)


def test_raw_actions_are_bounded_and_those_that_are_no_numbers_become_zero(actions):
    raw = np.zeros(30)
    raw[:4] = np.nan, np.inf, 1e9, -1e9
    actions.process(raw)
    np.testing.assert_array_equal(actions.raw[:4], [0.0, 0.0, 100.0, -100.0])


def test_the_bound_of_raw_actions_is_that_of_the_contract(contract_data):
    actions = Actions(Contract.from_dict(contract_data | {"action_limit": 2.0}))
    actions.process(np.full(30, 3.0))
    assert (actions.raw == 2.0).all()


def test_the_gait_clock_advances_by_a_step_of_the_period_that_the_action_sets(actions):
    clock = actions.clock
    clock.phase = 0.9
    raw = np.zeros(30)
    actions.process(raw)
    assert clock.phase == pytest.approx(0.9 + 0.02 / 0.5)
    raw[29] = 100.0
    actions.process(raw)
    assert clock.phase == pytest.approx(0.94 + 0.02 / 2.0)
    raw[29] = -100.0
    actions.process(raw)
    assert clock.phase == pytest.approx((0.95 + 0.02 / 0.3) % 1.0)
    np.testing.assert_allclose(clock.leg_phase, [clock.phase, clock.phase + 0.5])


def test_a_reset_forgets_the_last_action_and_draws_a_phase(actions):
    actions.process(np.ones(30))
    phases = set()
    for seed in range(3):
        actions.reset(np.random.default_rng(seed))
        phases.add(actions.clock.phase)
    assert len(phases) == 3
    assert (actions.raw == 0.0).all()


def test_an_action_that_is_not_served_is_named(contract_data):
    terms = [*contract_data["actions"], {"name": "gripper", "dim": 1}]
    with pytest.raises(UserError, match=r"action 'gripper'.*serves joint_pos, gait_cycle"):
        Actions(Contract.from_dict(contract_data | {"actions": terms}))
