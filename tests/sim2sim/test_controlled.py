"""A robot in MuJoCo under a predictive controller whose parameters a policy sets."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from benchmarks.mpc_robots import WORLD
from rlmpc.contract.contract import Contract
from rlmpc.errors import UserError
from rlmpc.sim2sim.observer import Observer
from rlmpc.sim2sim.simulation import Simulation
from rlmpc.sim2sim.walker import check_served
from tests.mpc.robots import Walk

COMMAND = (0.3, 0.0, 0.0)


def in_simulation(data: dict[str, Any], seed: int = 0) -> Simulation:
    """The robot on flat ground at the start of an episode."""
    simulation = Simulation(Contract.from_dict(data), "flat", 0)
    simulation.reset(np.random.default_rng(seed), COMMAND)
    return simulation


def test_zero_actions_walk_as_the_controller_alone_does(controlled_data):
    data = controlled_data | {"world": WORLD.to_dict() | {"terrain": controlled_data["world"]["terrain"]}}
    simulation, walk = in_simulation(data), Walk(1, COMMAND)
    (alone,) = walk.robots.data
    walk.robots.models[0].geom_friction[:, 0] = simulation.model.geom_friction[-1, 0]
    simulation.data.qpos[:], simulation.data.qvel[:] = alone.qpos, alone.qvel
    for _ in range(30):
        simulation.step(np.zeros(9))
        walk.step()
    assert walk.controller.gait.is_swinging.any()
    np.testing.assert_allclose(simulation.data.qpos, alone.qpos, rtol=0.0, atol=1e-6)
    assert np.abs(simulation.joint_torque).max() > 10.0


def test_the_policy_sees_the_plan_and_what_its_actions_have_set(controlled_data):
    simulation = in_simulation(controlled_data)
    observer = Observer(Contract.from_dict(controlled_data), ["policy"], simulation)
    contacts, parameters, wrench = np.split(observer.observe()["policy"][:41], [20, 29])
    assert contacts.all() and not parameters.any() and not wrench.any()
    action = np.array([1.0, -1.0, 5.0, 0.5, 0.0, 0.0, 0.0, 0.0, 10.0])
    for _ in range(10):
        simulation.step(action)
    contacts, parameters, wrench = np.split(observer.observe()["policy"][:41], [20, 29])
    # Clipped at a shape of 1 and at 6 rad/s^2, by scales of 0.5 and 1.
    np.testing.assert_allclose(parameters, [1.0, -1.0, 2.0, 0.5, 0.0, 0.0, 0.0, 0.0, 6.0], atol=1e-5)
    assert not contacts.all()
    assert wrench[2] + wrench[8] == pytest.approx(1.0, abs=0.2)


def test_an_episode_after_a_fall_is_that_of_a_new_robot(controlled_data):
    simulation, fresh = in_simulation(controlled_data, 3), in_simulation(controlled_data, 4)
    for _ in range(8):
        simulation.step(np.ones(9))
    simulation.reset(np.random.default_rng(4), COMMAND)
    for _ in range(8):
        simulation.step(np.zeros(9))
        fresh.step(np.zeros(9))
    np.testing.assert_array_equal(simulation.data.qpos, fresh.data.qpos)


def test_a_controller_that_had_kernels_needs_no_compiler_of_them_here(controlled_data, monkeypatch):
    monkeypatch.setattr("rlmpc.mpc.settings.is_installed", lambda name: False)
    controlled_data["actions"][0]["model.fused"] = True
    check_served(Contract.from_dict(controlled_data), ["policy"])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model.horizon": None}, "'model.horizon' cannot be null: it takes an integer"),
        ({"model.solver": "amm"}, "unknown 'model.solver' 'amm'; accepted: admm, closed_form"),
        ({"model.horizn": 5}, "unknown key 'model.horizn'"),
        ({"parameters": ["periode"] * 9}, "the parameters of the action 'mpc' are ['periode'"),
        ({"scale": [1.0]}, "lists of 9 entries are needed"),
    ],
)
def test_a_controller_that_cannot_be_made_is_refused(controlled_data, change: dict[str, Any], sentence: str):
    data = copy.deepcopy(controlled_data)
    data["actions"][0] |= change
    with pytest.raises(UserError) as refusal:
        check_served(Contract.from_dict(data), ["policy"])
    assert sentence in str(refusal.value)


def test_a_setting_that_the_contract_does_not_tell_is_refused(controlled_data):
    del controlled_data["actions"][0]["walk.period_s"]
    with pytest.raises(UserError, match=r"the action 'mpc' of the policy lacks 'walk.period_s'"):
        in_simulation(controlled_data)
