"""Running trials, on the toy."""

from __future__ import annotations

import math

import pytest
import torch

from rlmpc.contract.episode import GOES_ON, NON_FINITE, NON_FINITE_ACTION, Motion
from rlmpc.evaluation.evaluate import evaluate
from rlmpc.evaluation.grid import make_trials
from rlmpc.rollout.interaction import Action


def test_every_trial_has_its_episode_in_order_whatever_the_number_of_environments(make_toy, steering):
    env = make_toy(4)
    trials = make_trials(env, episodes=2)
    assert len(trials) == 6
    lines = []
    episodes = evaluate(env, steering(env, 2.0), trials, lines.append)
    assert [episode.trial for episode in episodes] == trials
    assert lines == ["round 1 of 2: 4 episodes", "round 2 of 2: 2 episodes"]


def test_two_runs_are_equal_in_one_environment_and_in_two(make_toy, steering):
    env, other = make_toy(), make_toy()
    trials = make_trials(env, episodes=3)
    first = evaluate(env, steering(env, 2.0), trials)
    assert evaluate(env, steering(env, 2.0), trials) == first
    assert evaluate(other, steering(other, 2.0), trials) == first
    another_seed = make_toy(seed=4)
    assert evaluate(another_seed, steering(another_seed, 2.0), trials) != first


def test_all_policies_get_the_same_starts_and_every_round_others(make_toy, steering, monkeypatch):
    env = make_toy()
    starts: list[torch.Tensor] = []
    reset = env.reset

    def recording_reset():
        obs = reset()
        starts.append(env.target.clone())
        return obs

    monkeypatch.setattr(env, "reset", recording_reset)
    trials = make_trials(env, levels=[4], episodes=8)
    evaluate(env, steering(env, 2.0), trials)
    evaluate(env, steering(env, -9.0), trials)
    assert len(starts) == 4
    assert torch.equal(starts[0], starts[2])
    assert torch.equal(starts[1], starts[3])
    assert not torch.equal(starts[0], starts[1])


def test_an_episode_that_times_out_is_no_fall_and_one_that_leaves_the_arena_is(make_toy, steering):
    env = make_toy()
    trials = make_trials(env)
    stays = evaluate(env, steering(env, 2.0), trials)
    assert {(e.reason, e.fell) for e in stays} == {("time_out", False)}
    assert {round(e.length_s, 4) for e in stays} == {5.0}
    leaves = evaluate(env, steering(env, -9.0), trials)
    assert {(e.reason, e.fell) for e in leaves} == {("left_arena", True)}
    assert max(e.length_s for e in leaves) < 5.0


def test_means_leave_out_the_last_step_and_what_follows(make_toy, steering):
    """Against a run by hand, of which the last step is already the next episode."""
    env = make_toy(1, max_wind=0.0, position_noise=0.0)
    policy = steering(env, 2.0)
    (episode,) = evaluate(env, policy, make_trials(env, levels=[4]))
    assert episode.reason == "time_out"
    env.place(make_trials(env, levels=[4]))
    env.reset()
    errors, speeds, powers = [], [], []
    for _ in range(env.max_episode_length - 1):
        env.step(policy.act({}, policy.initial_memory(1), deterministic=True).action)
        measured = env.measure()
        errors.append(measured.error.norm().item())
        speeds.append(measured.velocity.norm().item())
        powers.append(measured.power.item())
    assert episode.rmse_xy == pytest.approx(math.sqrt(sum(e**2 for e in errors) / len(errors)), rel=1e-4)
    assert episode.distance_m == pytest.approx(sum(speeds) * env.step_dt, rel=1e-4)
    assert episode.energy_j == pytest.approx(sum(powers) * env.step_dt, rel=1e-4)
    assert episode.rmse_yaw == 0.0


def test_a_measure_that_is_not_finite_after_the_end_spoils_nothing(make_toy, steering, monkeypatch):
    env = make_toy(2)
    measure = env.measure

    def broken_after_the_end():
        is_over = env.episode_length == 0
        return Motion(
            *(values.clone().index_fill_(0, is_over.nonzero()[:, 0], torch.nan) for values in vars(measure()).values())
        )

    monkeypatch.setattr(env, "measure", broken_after_the_end)
    for episode in evaluate(env, steering(env, -9.0), make_trials(env)):
        assert math.isfinite(episode.rmse_xy + episode.distance_m + episode.energy_j)


def test_of_several_reasons_the_last_stands_and_without_any_the_episode_goes_on(make_toy, steering, monkeypatch):
    env = make_toy(2)
    trials = make_trials(env, levels=[0, 1])
    monkeypatch.setattr(env, "ended_by", lambda: torch.ones(2, 2, dtype=torch.bool))
    assert {e.reason for e in evaluate(env, steering(env, 2.0), trials)} == {"left_arena"}
    monkeypatch.setattr(env, "step", without_end(env))
    assert {(e.reason, e.fell) for e in evaluate(env, steering(env, 2.0), trials)} == {(GOES_ON, False)}


def without_end(env):
    step = env.step

    def endless(actions: torch.Tensor):
        outcome = step(actions)
        outcome.truncated = torch.zeros_like(outcome.truncated)
        return outcome

    return endless


def test_a_round_stops_soon_after_its_last_episode_and_starts_with_a_fresh_memory(make_toy, steering):
    env = make_toy(2, episode_length_s=20.0)
    policy = steering(env, -9.0)
    trials = make_trials(env, levels=[0, 1, 2, 3])
    evaluate(env, policy, trials[:2])
    first_round = len(policy.memories)
    evaluate(env, policy, trials)
    assert len(policy.memories) < 3 * env.max_episode_length
    for start in (0, first_round):
        assert [memory.tolist() for memory in policy.memories[start : start + 2]] == [[0, 0], [1, 1]]


def test_an_episode_that_becomes_non_finite_has_failed(make_toy, steering):
    env = make_toy(2)
    policy = steering(env, 2.0)
    act = policy.act

    def breaking(obs: dict, memory: dict, deterministic: bool = False) -> dict:
        acted = act(obs, memory, deterministic)
        if len(policy.memories) == 11:
            env.velocity[1] = float("nan")
        return acted

    policy.act = breaking
    whole, broken = evaluate(env, policy, make_trials(env, levels=[0, 1]))
    assert (whole.reason, whole.fell) == ("time_out", False)
    assert (broken.reason, broken.fell) == (NON_FINITE, True)
    assert broken.length_s == pytest.approx(11 * env.step_dt)
    assert math.isfinite(broken.rmse_xy + broken.distance_m + broken.energy_j)


def test_a_policy_whose_action_is_not_finite_has_failed_for_that_reason(make_toy, steering):
    env = make_toy(2)
    policy = steering(env, 2.0)
    act = policy.act

    def senseless(obs: dict, memory: dict, deterministic: bool = False) -> Action:
        acted = act(obs, memory, deterministic)
        acted.action[1] = float("inf")
        return acted

    policy.act = senseless
    whole, broken = evaluate(env, policy, make_trials(env, levels=[0, 1]))
    assert (whole.reason, whole.fell) == ("time_out", False)
    assert (broken.reason, broken.fell) == (NON_FINITE_ACTION, True)
    assert broken.length_s == pytest.approx(env.step_dt)


def test_every_round_is_of_other_bodies_and_all_policies_get_the_same_ones(make_toy, steering, monkeypatch):
    env = make_toy(1)
    bodies: list[tuple[float, ...]] = []
    reset = env.reset

    def recording_reset():
        bodies.append((env.gain.item(), env.drag.item(), *env.wind[0].tolist()))
        return reset()

    monkeypatch.setattr(env, "reset", recording_reset)
    trials = make_trials(env, levels=[4], episodes=10)
    for strength in (2.0, -9.0):
        evaluate(env, steering(env, strength), trials)
    assert len(set(bodies)) == 10
    assert bodies[:10] == bodies[10:]
    lowest, highest = env.cfg.gain_range
    assert all(lowest <= gain <= highest for gain, *_ in bodies)
