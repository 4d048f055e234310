"""Measuring exported policies in MuJoCo."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from rlmpc.contract.contract import Contract
from rlmpc.contract.episode import Trial
from rlmpc.errors import UserError
from rlmpc.export.deployment import load_deployment
from rlmpc.sim2sim.evaluate import end_reason, evaluate_in_mujoco, motion_of
from rlmpc.sim2sim.policy import Policy
from rlmpc.sim2sim.simulation import Simulation
from rlmpc.sim2sim.walker import Walker

STAND = Trial("flat", 0, (0.0, 0.0, 0.0))
FORWARD = Trial("stairs_up", 3, (0.5, 0.0, 0.0))


def test_a_robot_that_holds_still_falls_within_seconds(export):
    (episode,) = evaluate_in_mujoco(load_deployment(export()), [STAND], seed=0)
    assert episode.trial == STAND
    assert (episode.reason, episode.fell) == ("bad_orientation", True)
    assert 0.5 < episode.length_s < 4.0
    assert 0.0 < episode.distance_m < 2.0
    assert episode.rmse_xy > 0.0
    assert episode.rmse_yaw > 0.0
    assert episode.energy_j > 1.0


def test_a_policy_of_another_robot_of_the_table_plays(export, biped_contract):
    (episode,) = evaluate_in_mujoco(load_deployment(export(contract=biped_contract.to_dict())), [FORWARD], seed=0)
    assert episode.fell and episode.length_s > 0.3


def test_an_episode_that_lasts_is_no_fall_and_a_success_if_the_command_is_followed(export):
    trials = [STAND, FORWARD]
    stand, forward = evaluate_in_mujoco(load_deployment(export()), trials, seed=0, episode_length_s=0.3)
    assert (stand.reason, stand.fell, stand.success) == ("time_out", False, True)
    assert (forward.reason, forward.fell, forward.success) == ("time_out", False, False)
    assert stand.length_s == pytest.approx(0.3)


def test_episodes_come_in_the_order_of_trials_and_differ_within_one(export):
    deployment = load_deployment(export())
    episodes = evaluate_in_mujoco(deployment, [STAND, FORWARD], seed=0, episode_length_s=0.2, episodes_per_trial=3)
    assert [episode.trial for episode in episodes] == [STAND] * 3 + [FORWARD] * 3
    assert len({episode.energy_j for episode in episodes}) == 6


def test_a_seed_repeats_its_episodes_and_another_gives_others(export):
    deployment = load_deployment(export())
    first, again, other = (evaluate_in_mujoco(deployment, [FORWARD], seed, episode_length_s=0.2) for seed in (4, 4, 5))
    assert first == again
    assert first != other


def test_neither_memory_nor_histories_outlive_an_episode(export, counting, monkeypatch):
    seen, done = [], []
    act = Policy.act

    def record(policy: Policy, observations: dict[str, np.ndarray]) -> np.ndarray:
        action = act(policy, observations)
        seen.append(observations["policy"])
        done.append(action[0])
        return action

    monkeypatch.setattr(Policy, "act", record)
    evaluate_in_mujoco(load_deployment(export(counting)), [STAND], seed=0, episode_length_s=0.06, episodes_per_trial=2)
    assert done == [0.0, 1.0, 2.0, 0.0, 1.0, 2.0]
    # 10 frames of joint positions, then of joint velocities: one frame fills the history at an episode's start.
    histories = np.stack(seen)[:, :580].reshape(6, 2, 10, 29)
    assert [bool(np.ptp(frames, axis=1).max() == 0.0) for frames in histories] == [True, False, False] * 2


def test_the_policy_is_given_the_command_of_the_trial(export, monkeypatch):
    seen = []
    act = Policy.act
    monkeypatch.setattr(Policy, "act", lambda policy, obs: seen.append(obs["policy"]) or act(policy, obs))
    evaluate_in_mujoco(load_deployment(export()), [FORWARD], seed=0, episode_length_s=0.04)
    # Behind 29 x 10 positions, 29 x 10 velocities, 3 x 5 angular velocities and 3 x 5 directions of gravity.
    np.testing.assert_allclose(np.stack(seen)[:, 610:625], [[0.5, 0.0, 0.0] * 5] * 2)


def test_measures_of_an_episode_are_those_of_all_steps_but_the_last(export):
    deployment = load_deployment(export())
    (episode,) = evaluate_in_mujoco(deployment, [FORWARD], seed=3, episode_length_s=0.06)
    walker = Walker(deployment, FORWARD)
    walker.start(np.random.default_rng([3, 0, 0]))
    errors, metres, joules = [], 0.0, 0.0
    for _ in range(2):
        walker.step()
        metres += 0.02 * math.hypot(*walker.simulation.root_lin_vel_w[:2])
        errors.append(motion_of(walker.simulation).error[0])
        joules += 0.02 * walker.simulation.joint_power
    assert episode.length_s == pytest.approx(0.06)
    assert episode.distance_m == pytest.approx(metres)
    assert episode.rmse_xy == pytest.approx(math.sqrt(np.mean([vx**2 + vy**2 for vx, vy, _ in errors])))
    assert episode.rmse_yaw == pytest.approx(math.sqrt(np.mean([yaw**2 for *_, yaw in errors])))
    np.testing.assert_allclose(episode.velocity, np.mean(errors, axis=0) + FORWARD.command)
    assert episode.energy_j == pytest.approx(joules)


def test_the_reasons_for_an_end_are_told_apart(simulation):
    assert end_reason(simulation, is_time_out=False) is None
    assert end_reason(simulation, is_time_out=True) == "time_out"
    simulation.data.qpos[:2] = (0.0, -4.01)
    assert end_reason(simulation, is_time_out=True) == "left_tile"
    simulation.data.qpos[2] = -5.1
    assert end_reason(simulation, is_time_out=True) == "fell_below"
    simulation.data.qpos[3:7] = (math.cos(0.41), 0.0, math.sin(0.41), 0.0)
    assert end_reason(simulation, is_time_out=True) == "bad_orientation"
    simulation.data.qpos[20] = np.nan
    assert end_reason(simulation, is_time_out=True) == "non_finite"


def test_limits_are_those_of_the_training_and_may_be_absent(contract_data):
    contract_data["world"] |= {"max_tilt_rad": 0.5, "min_height_m": None}
    simulation = Simulation(Contract.from_dict(contract_data), "flat", 0)
    simulation.data.qpos[2] = -100.0
    assert end_reason(simulation, is_time_out=False) is None
    simulation.data.qpos[3:7] = (math.cos(0.26), 0.0, math.sin(0.26), 0.0)
    assert end_reason(simulation, is_time_out=False) == "bad_orientation"


def test_an_episode_lasts_as_long_as_in_training_unless_told_otherwise(export, contract_data):
    contract_data["world"]["episode_length_s"] = 0.1
    (episode,) = evaluate_in_mujoco(load_deployment(export()), [STAND], seed=0)
    assert (episode.reason, episode.length_s) == ("time_out", pytest.approx(0.1))


def test_a_tilt_just_below_the_limit_is_no_fall(simulation):
    simulation.data.qpos[3:7] = (math.cos(0.395), math.sin(0.395), 0.0, 0.0)
    assert end_reason(simulation, is_time_out=False) is None


def test_leaving_the_tile_is_no_fall(export, contract_data):
    contract_data["world"]["terrain"]["tile_size_m"] = [0.02, 0.02]
    (episode,) = evaluate_in_mujoco(load_deployment(export()), [STAND], seed=0)
    assert (episode.reason, episode.fell) == ("left_tile", False)
    assert episode.distance_m > 0.01


def test_an_episode_that_breaks_down_is_a_fall_with_finite_numbers(export, monkeypatch):
    def break_down(walker: Walker) -> None:
        walker.simulation.data.qvel[:] = np.nan

    monkeypatch.setattr(Walker, "step", break_down)
    (episode,) = evaluate_in_mujoco(load_deployment(export()), [STAND], seed=0)
    assert (episode.reason, episode.fell) == ("non_finite", True)
    assert all(math.isfinite(n) for n in (episode.distance_m, episode.rmse_xy, episode.rmse_yaw, episode.energy_j))


def test_velocities_and_their_errors_are_in_the_frame_of_the_heading(simulation):
    simulation.data.qpos[3:7] = (math.cos(0.25 * math.pi), 0.0, 0.0, math.sin(0.25 * math.pi))
    simulation.data.qvel[:6] = (0.0, 0.9, 0.0, 0.0, 0.0, 0.7)
    simulation.command = np.array([0.5, 0.3, 0.2])
    motion = motion_of(simulation)
    # Facing +y, the robot moves forward at 0.9 m/s, and its centre of mass hardly otherwise: 0.4 too fast, 0.3 short.
    np.testing.assert_allclose(motion.velocity, [[0.9, 0.0, 0.7]], atol=0.01)
    np.testing.assert_allclose(motion.error, motion.velocity - simulation.command)


def test_a_policy_whose_actions_are_not_finite_has_failed_for_that_reason(export, senseless):
    (episode,) = evaluate_in_mujoco(load_deployment(export(senseless)), [STAND], seed=0)
    assert (episode.reason, episode.fell, episode.success) == ("non_finite_action", True, False)
    assert episode.length_s == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("trial", "message"),
    [
        (Trial("random_boxes", 0, (0.0, 0.0, 0.0)), "accepted: flat, stairs_up, stairs_down"),
        (Trial("flat", 10, (0.0, 0.0, 0.0)), "accepted: 0 to 9"),
        (Trial("flat", 0, ()), "is not vx, vy and yaw rate"),
    ],
)
def test_all_trials_are_checked_before_the_first_runs(export, monkeypatch, trial: Trial, message: str):
    monkeypatch.setattr(Walker, "step", lambda walker: pytest.fail("ran"))
    with pytest.raises(UserError, match=message):
        evaluate_in_mujoco(load_deployment(export()), [STAND, trial], seed=0)


def test_neither_the_training_simulator_nor_torch_is_needed(export, tmp_path):
    code = (
        "import sys\nfrom pathlib import Path\n"
        "for name in ('isaaclab', 'isaaclab_newton', 'newton', 'warp', 'mujoco_warp', 'torch', 'lightning'):\n"
        "    sys.modules[name] = None\n"
        "from rlmpc.contract.episode import Trial\n"
        "from rlmpc.sim2sim import video\n"
        "from rlmpc.export.deployment import load_deployment\n"
        "from rlmpc.sim2sim.evaluate import evaluate_in_mujoco\n"
        "deployment = load_deployment(Path(sys.argv[1]))\n"
        "print(evaluate_in_mujoco(deployment, [Trial('stairs_up', 2, (0.5, 0.0, 0.0))], 0, 0.1)[0].reason)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(export())], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "time_out"
