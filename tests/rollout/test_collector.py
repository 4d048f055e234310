from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from rlmpc.envs.toy import ToyEnv
from rlmpc.envs.vec_env import Obs
from rlmpc.networks.tree import leaves
from rlmpc.rollout.collector import Collector
from rlmpc.rollout.interaction import Action, Memory


class Pusher:
    """Pushes every point one way; its value of an observation is the speed it shows."""

    groups = ("teacher",)
    critic_group = "critic"
    variant = None

    def __init__(self, env: ToyEnv) -> None:
        self.velocity = env.obs_schema.columns("critic", "velocity")

    def initial_memory(self, num_envs: int) -> dict[str, Tensor]:
        return {}

    def act(self, obs: Obs, memory: Memory) -> Action:
        return Action(torch.full((obs["critic"].shape[0], 2), 0.03), dict(memory))

    def value(self, obs: Obs) -> torch.Tensor:
        return obs["critic"][:, self.velocity].norm(dim=1)


def collector(env: ToyEnv, num_steps: int = 8) -> Collector:
    return Collector(env, num_steps, stagger_episodes=False)


def test_rows_follow_each_other_and_the_next_rollout_goes_on_where_the_last_stopped(toy_env: ToyEnv):
    collect = collector(toy_env)
    columns = toy_env.obs_schema.columns("teacher", "position")
    first = collect.collect(Pusher(toy_env)).obs["teacher"][..., columns].clone()
    second = collect.collect(Pusher(toy_env)).obs["teacher"][..., columns]
    positions = torch.cat([first, second])
    assert first.shape == (8, 16, 2)
    assert (positions[0] == 0.0).all()
    assert (positions[1:] > positions[:-1] - 1e-9).all()
    assert (positions[8] > positions[7]).all()


def test_only_the_groups_of_the_policy_are_kept(toy_env: ToyEnv):
    assert list(collector(toy_env).collect(Pusher(toy_env)).obs) == ["teacher"]


def test_a_time_out_is_followed_by_the_value_of_its_terminal_observation(toy_env: ToyEnv):
    collect = Collector(toy_env, toy_env.max_episode_length, stagger_episodes=False)
    batch = collect.collect(Pusher(toy_env))
    speed = batch.value[-1]
    # One step at constant push changes the speed little; the next episode's first observation is worth 0.
    assert (batch.terminal_value[-1] > 0.9 * speed).all()
    assert (speed > 0.1).all()
    assert (batch.last_value == 0.0).all()


def test_episode_metrics_count_each_ended_episode_once(toy_env: ToyEnv):
    collect = collector(toy_env, num_steps=toy_env.max_episode_length)
    metrics = collect.collect(Pusher(toy_env)).metrics
    total, count = metrics["episode/length"]
    assert (total / count, count) == (toy_env.max_episode_length, 16)
    assert metrics["episode/fall_rate"][0] == 0
    again = collect.collect(Pusher(toy_env)).metrics
    assert again["episode/length"][1] == 16


@dataclass
class Counted(Action):
    before: Tensor = field(default_factory=lambda: torch.zeros(0))


class Counter(Pusher):
    """Remembers how often it has acted in an episode, and says so."""

    critic_group = None

    def initial_memory(self, num_envs: int) -> dict[str, Tensor]:
        return {"count": torch.zeros(num_envs, 1)}

    def act(self, obs: Obs, memory: Memory) -> Counted:
        acted = super().act(obs, {"count": memory["count"] + 1.0})
        return Counted(acted.action, acted.memory, before=memory["count"].squeeze(1))


def test_memory_is_carried_from_one_rollout_to_the_next_and_lost_where_an_episode_ends(toy_env: ToyEnv):
    toy_env.episode_length[3] = toy_env.max_episode_length - 2
    collect = collector(toy_env, num_steps=4)
    collect._go_on_from(toy_env._observe(), {"count": torch.zeros(16, 1)})
    first = collect.collect(Counter(toy_env))
    counts = first.acted.before.clone()
    assert counts[:, 0].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert counts[:, 3].tolist() == [0.0, 1.0, 0.0, 1.0]
    second = collect.collect(Counter(toy_env))
    assert second.memory["count"][:, 0].tolist() == [4.0, 4.0, 4.0, 2.0] + [4.0] * 12
    assert second.acted.before[:, 3].tolist() == [2.0, 3.0, 4.0, 5.0]


def test_a_policy_without_a_critic_gets_no_values(toy_env: ToyEnv):
    batch = collector(toy_env).collect(Counter(toy_env))
    assert (batch.value, batch.terminal_value, batch.last_value) == (None, None, None)


def test_staggered_episodes_end_at_different_steps(toy_env: ToyEnv):
    collect = Collector(toy_env, 50, stagger_episodes=True)
    ended = collect.collect(Pusher(toy_env)).metrics["episode/length"][1]
    assert 1 <= ended < 16


def test_the_tensors_keep_their_addresses_over_rollouts(toy_env: ToyEnv):
    collect = collector(toy_env)
    first, second = collect.collect(Counter(toy_env)), collect.collect(Counter(toy_env))
    for there, here in zip(leaves(replace(first, memory={}, metrics={})), leaves(second), strict=False):
        assert there.data_ptr() == here.data_ptr()
    assert first.terminated.dtype == torch.bool
