"""The robot in MuJoCo, step by step."""

from __future__ import annotations

import copy
import math

import mujoco
import numpy as np
import pytest

from rlmpc.contract.contract import Contract
from rlmpc.errors import UserError
from rlmpc.sim2sim.observer import Observer
from rlmpc.sim2sim.scanner import scan_heights
from rlmpc.sim2sim.simulation import Simulation


def test_an_episode_starts_in_the_default_pose_on_the_middle_of_the_ground(contract):
    simulation = Simulation(contract, "stairs_up", 9)
    simulation.reset(np.random.default_rng(1), (1.0, 0.0, 0.0))
    np.testing.assert_array_equal(simulation.joint_pos, simulation.default_pos)
    assert (simulation.joint_vel == 0.0).all()
    np.testing.assert_allclose(simulation.root_pos, [0.0, 0.0, 0.76 - 12 * 0.162])
    assert 0.0 < np.abs(simulation.data.qvel[:6]).max() <= 0.1


def test_headings_are_near_the_four_axes_and_all_of_them_occur(simulation):
    quarters = set()
    for seed in range(40):
        simulation.reset(np.random.default_rng(seed), (0.0, 0.0, 0.0))
        turns = simulation.root_yaw / (0.5 * math.pi)
        assert abs(turns - round(turns)) * 90.0 <= 10.0 + 1e-9
        quarters.add(round(turns) % 4)
    assert quarters == {0, 1, 2, 3}


def test_a_control_step_takes_its_time(simulation):
    simulation.step(np.zeros(30))
    assert simulation.data.time == pytest.approx(0.02)


def test_a_robot_lands_on_its_feet(simulation):
    for _ in range(20):
        simulation.step(np.zeros(30))
    assert 0.65 < simulation.root_pos[2] < 0.76
    feet = [simulation.data.body(f"{side}_ankle_roll_link").xpos[2] for side in ("left", "right")]
    np.testing.assert_allclose(feet, 0.035, atol=0.005)
    weight = simulation.model.body_subtreemass[1] * 9.81
    force = np.zeros(6)
    total = 0.0
    for contact in range(simulation.data.ncon):
        mujoco.mj_contactForce(simulation.model, simulation.data, contact, force)
        total += force[0]
    assert 0.5 * weight < total < 1.5 * weight


def test_torques_stop_at_the_effort_limits(simulation, contract):
    simulation.step(np.full(30, 100.0))
    limits = np.array(contract.joints["effort_limit"])
    assert (np.abs(simulation.joint_torque) <= limits + 1e-9).all()
    assert (np.abs(simulation.joint_torque) >= limits - 1e-9).sum() > 20


def test_power_is_the_mean_over_the_physics_steps_of_a_step(simulation):
    """The work of a drive is its torque times the joint's way, which physics integrates itself."""
    twin = copy.deepcopy(simulation.data)
    rng = np.random.default_rng(0)
    for _ in range(10):
        raw, work = 0.5 * rng.standard_normal(30), 0.0
        simulation.step(raw)
        twin.ctrl[:] = simulation.data.ctrl
        for _ in range(4):
            before = twin.qpos[simulation._qpos_ids]
            mujoco.mj_step(simulation.model, twin)
            way = twin.qpos[simulation._qpos_ids] - before
            work += np.abs(twin.qfrc_actuator[simulation._dof_ids] * way).sum()
        np.testing.assert_array_equal(twin.qpos, simulation.data.qpos)
        assert simulation.joint_power * 0.02 == pytest.approx(work, rel=1e-6)


def test_the_roots_velocity_is_that_of_its_centre_of_mass(simulation):
    simulation.data.qpos[3:7] = (1.0, 0.0, 0.0, 0.0)
    simulation.data.qvel[:3] = (1.0, 0.0, 0.0)
    simulation.data.qvel[3:6] = (0.0, 2.0, 0.0)
    # The centre of mass is 0.07605 m below the origin, and turning about y moves what is below backward.
    np.testing.assert_allclose(simulation.root_lin_vel_w, [1.0 - 2.0 * 0.07605, 0.0, 0.0])


def test_the_yaw_rate_of_a_tilted_robot_is_the_worlds(simulation):
    simulation.data.qpos[3:7] = (math.cos(0.25 * math.pi), math.sin(0.25 * math.pi), 0.0, 0.0)
    simulation.data.qvel[3:6] = (0.0, 3.0, 0.0)
    # Lying on its right side, the robot's y points up.
    np.testing.assert_allclose(simulation.root_ang_vel_w, [0.0, 0.0, 3.0], atol=1e-12)


def test_a_policy_without_a_robot_is_refused(contract_data):
    with pytest.raises(UserError, match="moves no robot"):
        Simulation(Contract.from_dict(contract_data | {"joints": {}}), "flat", 0)


def test_a_policy_that_does_not_say_where_it_was_trained_is_refused(contract_data):
    with pytest.raises(UserError, match="does not say in which world it was trained"):
        Simulation(Contract.from_dict(contract_data | {"world": None}), "flat", 0)


def test_another_robot_of_the_table_stands_and_senses_its_own_joints(biped_contract):
    simulation = Simulation(biped_contract, "flat", 0)
    simulation.reset(np.random.default_rng(0), (0.0, 0.0, 0.0))
    observer = Observer(biped_contract, ["policy"], simulation)
    for _ in range(15):
        simulation.step(np.zeros(7))
    assert simulation.data.ncon > 0
    assert 0.5 < simulation.root_pos[2] < 0.6
    assert observer.observe()["policy"].shape == (204,)
    assert scan_heights(simulation).shape == (243,)


def test_an_unknown_robot_is_refused_by_name(contract_data):
    with pytest.raises(UserError, match=r"unknown robot 'g1_23dof'; known: g1_29dof.*did you mean 'g1_29dof'"):
        Simulation(Contract.from_dict(contract_data | {"robot": "g1_23dof"}), "flat", 0)


def test_starts_are_as_random_as_in_training(contract_data):
    contract_data["world"] |= {"heading_noise_rad": 0.0, "max_start_velocity": 0.0}
    simulation = Simulation(Contract.from_dict(contract_data), "flat", 0)
    simulation.reset(np.random.default_rng(1), (0.0, 0.0, 0.0))
    quarter_turns = simulation.root_yaw / (0.5 * math.pi)
    assert quarter_turns == pytest.approx(round(quarter_turns))
    assert (simulation.data.qvel == 0.0).all()


def test_a_state_that_is_not_finite_is_kept_and_leaves_no_log_file(simulation, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    simulation.data.qvel[10] = np.nan
    simulation.step(np.zeros(30))
    assert not simulation.is_finite
    assert list(tmp_path.iterdir()) == []
    simulation.reset(np.random.default_rng(0), (0.0, 0.0, 0.0))
    simulation.step(np.zeros(30))
    assert simulation.is_finite
