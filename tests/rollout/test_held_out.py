"""Environments that training leaves alone: what they do, what is counted of them, and that nothing is learned there."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from rlmpc.contract.episode import Trial
from rlmpc.envs.toy import ToyEnv
from rlmpc.envs.vec_env import Step
from rlmpc.rollout.collector import Collector
from rlmpc.rollout.held_out import HeldOut
from rlmpc.rollout.interaction import Action, Memory
from tests.rollout.test_collector_graphs import ppo

HELD = (3, 10)
TRIALS = {HELD[0]: Trial("arena", 4, ()), HELD[1]: Trial("arena", 2, ())}


def make(env: ToyEnv, every: int = 2, num_steps: int = 150) -> HeldOut:
    return HeldOut(env, TRIALS, every, num_steps)


def mean(metrics: dict[str, tuple[Tensor, Tensor]], name: str) -> float | None:
    total, weight = metrics[name]
    return None if weight == 0.0 else float(total / weight)


def played(held_out: HeldOut, *ends: str, length: int = 3, velocity: Tensor | None = None, step_m: float = 0.0) -> None:
    """Plays episodes in all environments at once; `ends` says of each whether it is `cut`, `fell` or is `broken`.

    Robots that have a velocity move by `step_m` along x in every step, wherever they start.
    """
    none = torch.zeros(16, dtype=torch.bool)
    for end in ends:
        for count in range(length):
            is_end = none | (count == length - 1)
            flags = {"fell": [is_end, none, none], "cut": [none, is_end, none], "broken": [none, none, is_end]}[end]
            position = torch.tensor([[7.0 + step_m * (count if count < length - 1 else 99), 1.0]]).repeat(16, 1)
            motion = {} if velocity is None else {"velocity": velocity, "position": position}
            held_out.count(Step({}, torch.zeros(16), *flags, None, motion))


def test_they_act_with_means_and_the_others_as_if_there_were_none(toy_env: ToyEnv):
    policy = ppo(toy_env)
    obs, memory = toy_env.reset(), policy.initial_memory(16)
    mask = make(toy_env).mask
    torch.manual_seed(1)
    sampled = policy.act(obs, memory)
    torch.manual_seed(1)
    acted = policy.act(obs, memory, mask)
    assert torch.equal(acted.action[mask], acted.mean[mask])
    assert torch.equal(acted.action[~mask], sampled.action[~mask])


def test_nothing_is_learned_from_them_and_they_are_in_no_mean(toy_env: ToyEnv):
    held_out = make(toy_env)
    held_out.begin_iteration(0)
    rollout = Collector(toy_env, 150, stagger_episodes=False, held_out=held_out).collect(ppo(toy_env))
    assert not rollout.valid[:, held_out.mask].any()
    assert rollout.valid[:, ~held_out.mask].all()
    assert (rollout.obs["critic"][:, held_out.mask] == 0.0).all()
    steps, episodes = 150 * 14, 14
    assert rollout.metrics["episode/reward_per_step"][1] == steps
    assert rollout.metrics["episode/length"][1] == rollout.metrics["reward/track_target"][1] >= episodes
    assert rollout.metrics["curriculum/level"][1] == 14
    assert rollout.metrics["fault/envs"][0] == 0


def test_their_levels_stay(toy_env: ToyEnv):
    held_out = make(toy_env)
    held_out.begin_iteration(0)
    Collector(toy_env, 150, stagger_episodes=False, held_out=held_out).collect(ppo(toy_env))
    assert toy_env.level[list(HELD)].tolist() == [4, 2]


def test_a_window_holds_one_episode_to_wait_for_and_others_to_count(toy_env: ToyEnv):
    assert toy_env.max_episode_length == 100
    assert (make(toy_env, 4, 100).every, make(toy_env, 4, 100).episodes) == (4, 3)
    # Two episodes are 200 steps, which 10, 20, 30 steps do not hold.
    assert (make(toy_env, 1, 30).every, make(toy_env, 1, 30).episodes) == (7, 1)


def test_a_window_counts_as_many_episodes_of_each_and_not_the_one_that_it_finds(toy_env: ToyEnv):
    held_out = make(toy_env, every=4, num_steps=100)
    held_out.begin_iteration(0)
    played(held_out, "fell", "cut", "broken", "cut", "fell", "fell")
    assert all(weight == 0.0 for _, weight in held_out.metrics().values())
    held_out.begin_iteration(3)
    metrics = held_out.metrics()
    assert metrics["evaluation/success"][1] == 2 * 3
    assert mean(metrics, "evaluation/success") == pytest.approx(2 / 3)
    assert mean(metrics, "evaluation/falls") == pytest.approx(1 / 3)
    assert mean(metrics, "evaluation/success/arena") == mean(metrics, "evaluation/success")
    held_out.begin_iteration(4)
    assert all(weight == 0.0 for _, weight in held_out.metrics().values())


def test_a_window_that_was_not_seen_from_its_start_gives_no_result(toy_env: ToyEnv):
    held_out = make(toy_env, every=4, num_steps=100)
    for iteration in (2, 3):
        held_out.begin_iteration(iteration)
        played(held_out, "cut")
    assert mean(held_out.metrics(), "evaluation/success") is None


@pytest.mark.parametrize(("speed", "success"), [(0.38, 1.0), (0.37, 0.0), (-0.5, 0.0)])
def test_success_needs_three_quarters_of_the_commanded_speed(toy_env: ToyEnv, speed: float, success: float):
    trials = {3: Trial("arena", 0, (0.3, -0.4, 1.0))}
    held_out = HeldOut(toy_env, trials, every=2, num_steps=100)
    held_out.begin_iteration(0)
    velocity = (torch.tensor([0.6, -0.8, 0.0]) * speed).repeat(16, 1)
    played(held_out, "cut", velocity=velocity)
    # What is measured in the last step is the next episode's.
    played(held_out, "cut", velocity=velocity)
    held_out.begin_iteration(1)
    assert mean(held_out.metrics(), "evaluation/success") == success
    assert mean(held_out.metrics(), "evaluation/followed") == pytest.approx(speed / 0.5)


@pytest.mark.parametrize(("step_m", "success"), [(0.2, 1.0), (0.3, 0.0)])
@pytest.mark.parametrize("command", [(0.0, 0.0, 0.0), (0.0, 0.0, 1.0)])
def test_who_is_not_to_walk_must_stay(toy_env: ToyEnv, command: tuple[float, ...], step_m: float, success: float):
    held_out = HeldOut(toy_env, {3: Trial("arena", 0, command)}, every=2, num_steps=100)
    held_out.begin_iteration(0)
    velocity = torch.tensor([[0.0, 0.0, 0.9]]).repeat(16, 1)
    played(held_out, "cut", "cut", length=4, velocity=velocity, step_m=step_m)
    held_out.begin_iteration(1)
    assert mean(held_out.metrics(), "evaluation/success") == success


class Counting:
    """Pushes nothing; its memory counts steps."""

    groups, critic_group, variant = ("policy",), None, None

    def initial_memory(self, num_envs: int) -> dict[str, Tensor]:
        return {}

    def act(self, obs: dict[str, Tensor], memory: Memory, deterministic: object = False) -> Action:
        return Action(torch.zeros(len(obs["policy"]), 2))


def test_a_resumed_collector_goes_on_counting_where_the_saved_one_stopped(toy_env: ToyEnv):
    def collected(collector: Collector, iteration: int) -> dict[str, tuple[Tensor, Tensor]]:
        assert collector.held_out is not None
        collector.held_out.begin_iteration(iteration)
        return collector.collect(Counting()).metrics

    first = Collector(toy_env, 150, stagger_episodes=False, held_out=make(toy_env))
    collected(first, 0)
    saved, env_state = first.state_dict(), toy_env.state()
    expected = collected(first, 1)
    again = Collector(toy_env, 150, stagger_episodes=False, held_out=make(toy_env))
    toy_env.load_state(env_state)
    again.load_state_dict(saved)
    assert collected(again, 1)["evaluation/success"] == expected["evaluation/success"]
    assert expected["evaluation/success"][1] > 0.0


def test_a_run_with_other_held_out_environments_begins_with_the_next_window(toy_env: ToyEnv):
    saved = make(toy_env).state() + 1.0
    other = HeldOut(toy_env, {1: Trial("arena", 0, ())}, 2, 150)
    other.load_state(saved)
    assert (other.state() == 0.0).all()


def test_a_fault_in_one_of_them_is_a_fault(toy_env: ToyEnv):
    class Broken(Counting):
        def act(self, obs: dict[str, Tensor], memory: Memory, deterministic: object = False) -> Action:
            acted = super().act(obs, memory)
            acted.action[HELD[0]] = float("nan")
            return replace(acted)

    held_out = make(toy_env)
    held_out.begin_iteration(0)
    metrics = Collector(toy_env, 4, stagger_episodes=False, held_out=held_out).collect(Broken()).metrics
    assert metrics["fault/envs"] == (1, 16)
