"""What a policy sees in MuJoCo."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rlmpc.contract.contract import Contract
from rlmpc.errors import UserError
from rlmpc.sim2sim.observer import Observer
from rlmpc.sim2sim.scanner import scan_heights
from rlmpc.sim2sim.simulation import Simulation


def term(name: str, dim: int, history: int = 1, scale=1.0, clip=None) -> dict:
    return {"name": name, "dim": dim, "history": history, "scale": scale, "clip": clip}


def observer_of(simulation: Simulation, contract_data: dict, *terms: dict) -> Observer:
    contract_data["observations"] = {"policy": list(terms)}
    return Observer(Contract.from_dict(contract_data), ["policy"], simulation)


def see(simulation: Simulation, contract_data: dict, *terms: dict) -> np.ndarray:
    return observer_of(simulation, contract_data, *terms).observe()["policy"]


def roll(angle: float) -> tuple[float, ...]:
    return (math.cos(0.5 * angle), math.sin(0.5 * angle), 0.0, 0.0)


def test_a_known_state_is_seen_as_computed_by_hand(simulation, contract_data):
    simulation.data.qpos[3:7] = roll(math.pi / 6)
    simulation.data.qpos[7] += 0.25
    simulation.data.qvel[3:6] = (0.1, 0.2, 0.3)
    simulation.data.qvel[6:] = np.arange(29)
    simulation.actions.raw[:] = np.arange(30)
    simulation.actions.clock.phase = 0.25
    terms = contract_data["observations"]["policy"]
    for entry in terms:
        entry["history"] = 1
    seen = see(simulation, contract_data, *terms)
    joint_pos, joint_vel, ang_vel, gravity, command, last_action, phase = np.split(
        seen, np.cumsum([entry["dim"] for entry in terms])[:-1]
    )
    np.testing.assert_allclose(joint_pos, [0.25] + [0.0] * 28, atol=1e-6)
    np.testing.assert_allclose(joint_vel, 0.05 * np.arange(29), rtol=1e-6)
    np.testing.assert_allclose(ang_vel, [0.02, 0.04, 0.06], rtol=1e-6)
    # Rolled to its right side, a robot feels gravity at its right: -y.
    np.testing.assert_allclose(gravity, [0.0, -0.5, -math.sqrt(0.75)], atol=1e-6)
    np.testing.assert_allclose(command, [0.5, -0.1, 0.3], rtol=1e-6)
    np.testing.assert_array_equal(last_action, np.arange(30))
    np.testing.assert_allclose(phase, [1.0, -1.0, 0.0, 0.0], atol=1e-6)
    assert seen.dtype == np.float32


def test_the_first_frame_fills_a_history_and_later_ones_push_the_oldest_out(simulation, contract_data):
    observer = observer_of(simulation, contract_data, term("velocity_command", 3, 3), term("base_ang_vel", 3, 2))
    simulation.data.qvel[3:6] = 0.0
    simulation.command = np.array([1.0, 2.0, 3.0])
    first = observer.observe()["policy"]
    np.testing.assert_array_equal(first, [1, 2, 3] * 3 + [0] * 6)
    simulation.command = np.array([4.0, 5.0, 6.0])
    simulation.data.qvel[3:6] = 7.0
    second = observer.observe()["policy"]
    np.testing.assert_array_equal(second, [1, 2, 3, 1, 2, 3, 4, 5, 6, 0, 0, 0, 7, 7, 7])
    observer.reset()
    np.testing.assert_array_equal(observer.observe()["policy"], [4, 5, 6] * 3 + [7] * 6)


def test_a_term_is_clipped_before_it_is_scaled(simulation, contract_data):
    simulation.command = np.array([-5.0, 0.5, 5.0])
    seen = see(simulation, contract_data, term("velocity_command", 3, 1, scale=[2.0, 3.0, 4.0], clip=[-1.0, 1.0]))
    np.testing.assert_allclose(seen, [-2.0, 1.5, 4.0])


def test_joints_are_seen_in_the_order_of_the_contract(contract_data):
    contract_data["joints"] = {key: values[::-1] for key, values in contract_data["joints"].items()}
    simulation = Simulation(Contract.from_dict(contract_data), "flat", 0)
    simulation.reset(np.random.default_rng(0), (0.0, 0.0, 0.0))
    # The first joint of the model is the last of this contract.
    simulation.data.qpos[7] += 0.25
    seen = see(simulation, contract_data, term("joint_pos", 29))
    np.testing.assert_allclose(seen, [0.0] * 28 + [0.25], atol=1e-6)


def test_what_only_a_simulator_knows_is_refused_by_name(simulation, contract):
    with pytest.raises(UserError, match=r"'base_lin_vel' of group 'critic'.*serves joint_pos, joint_vel, base_ang_vel"):
        Observer(contract, ["critic"], simulation)


def test_a_gait_phase_without_a_gait_clock_is_refused(contract_data):
    contract_data["actions"] = contract_data["actions"][:1]
    simulation = Simulation(Contract.from_dict(contract_data), "flat", 0)
    with pytest.raises(UserError, match="'gait_phase' of group 'policy'"):
        see(simulation, contract_data, term("gait_phase", 4))


def test_a_scan_that_training_had_not_is_refused(contract_data):
    contract_data["world"]["height_scanner"] = None
    simulation = Simulation(Contract.from_dict(contract_data), "flat", 0)
    with pytest.raises(UserError, match="'height_scan' of group 'policy' cannot be sensed"):
        see(simulation, contract_data, term("height_scan", 243))


def test_a_scanner_on_a_body_that_the_robot_lacks_is_refused(contract_data):
    contract_data["world"]["height_scanner"]["body"] = "pelvs"
    simulation = Simulation(Contract.from_dict(contract_data), "flat", 0)
    with pytest.raises(UserError, match=r"is on the body 'pelvs', which .* did you mean 'pelvis'"):
        see(simulation, contract_data, term("height_scan", 243))


def test_a_term_of_another_width_is_refused(simulation, contract_data):
    with pytest.raises(UserError, match="'joint_pos' of group 'policy' has 12 features, but 29"):
        see(simulation, contract_data, term("joint_pos", 12))


def test_level_ground_is_scanned_at_the_height_of_the_sensor(simulation):
    simulation.data.qpos[3:7] = roll(0.0)
    scan = scan_heights(simulation)
    height = simulation.data.body("torso_link").xpos[2] + 0.43
    np.testing.assert_allclose(scan, np.full(243, 1.0 - height / 7.0), rtol=1e-9)


def test_the_scan_turns_with_the_heading_and_shows_each_step_where_it_is(contract):
    """On a hill, rays ahead fall on lower steps: x runs fastest, then y, both rising."""
    simulation = Simulation(contract, "stairs_down", 9)
    simulation.reset(np.random.default_rng(0), (0.0, 0.0, 0.0))
    scans = []
    for yaw in (0.0, 0.5 * math.pi):
        simulation.data.qpos[3:7] = (math.cos(0.5 * yaw), 0.0, 0.0, math.sin(0.5 * yaw))
        scans.append(scan_heights(simulation).reshape(9, 27))
    np.testing.assert_allclose(scans[0], scans[1], atol=1e-9)
    depths = 7.0 * (scans[0].max() - scans[0])
    # Turned to the left, the robot's forward is the world's y.
    forward = simulation.data.body("torso_link").xpos[1] + 0.2 + (np.arange(27) - 13) * 0.05
    # The platform reaches 0.4 m from the middle, each step 0.3 m further down by 0.162 m.
    expected = 0.162 * np.ceil(np.maximum(np.abs(forward) - 0.4, 0.0) / 0.3)
    np.testing.assert_allclose(depths[4], expected, atol=1e-9)


def test_a_ray_that_meets_no_ground_reads_zero(simulation):
    simulation.data.qpos[2] = 8.0
    assert (scan_heights(simulation) == 0.0).all()
    simulation.data.qpos[:3] = (20.0, 0.0, 0.8)
    assert (scan_heights(simulation) == 0.0).all()
