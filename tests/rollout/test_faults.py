"""Rollouts in which numbers become non-finite, on the toy environment."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, is_dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from rlmpc.envs.toy import ToyEnv, ToyEnvCfg
from rlmpc.envs.vec_env import Obs, Step
from rlmpc.rollout.collector import Collector
from rlmpc.rollout.interaction import Memory
from rlmpc.rollout.rollout import Rollout

NUM_ENVS, NUM_STEPS, BROKEN, WHEN = 64, 12, 5, 4
NAN = float("nan")
BOOTSTRAPPED = ("/value", "/terminal_value", "/truncated")
"""What a sample that is not valid still says."""


class BreakingEnv(ToyEnv):
    """Calls `before` with itself ahead of step `WHEN`, and `after` with what that step returned."""

    def __init__(
        self, before: Callable[[ToyEnv], None] = lambda env: None, after: Callable[[Step], None] = lambda step: None
    ) -> None:
        super().__init__(ToyEnvCfg(episode_length_s=1.0), NUM_ENVS, "cpu", seed=0)
        self.before, self.after, self.num_steps = before, after, 0

    def step(self, actions: Tensor) -> Step:
        is_due = self.num_steps == WHEN
        self.num_steps += 1
        if is_due:
            self.before(self)
        step = super().step(actions)
        if is_due:
            self.after(step)
        return step


@dataclass
class Wandered:
    action: Tensor
    log_prob: Tensor
    before: Tensor
    memory: dict[str, Tensor]


class Wanderer:
    """Pushes at random, counts its steps in its memory and values an observation by a number that it holds."""

    groups = ("policy", "critic")
    critic_group = "critic"
    variant = None

    def __init__(self, breaks_action: bool = False) -> None:
        self.generator = torch.Generator().manual_seed(0)
        self.breaks_action = breaks_action
        self.num_steps = 0

    def initial_memory(self, num_envs: int) -> dict[str, Tensor]:
        return {"seen": torch.zeros(num_envs, 2)}

    def act(self, obs: Obs, memory: Memory) -> Wandered:
        action = 0.3 * torch.randn(NUM_ENVS, 2, generator=self.generator)
        if self.breaks_action and self.num_steps == WHEN:
            action[BROKEN, 1] = NAN
        self.num_steps += 1
        seen = memory["seen"] + torch.stack([torch.ones(NUM_ENVS), obs["policy"][:, 0]], dim=1)
        return Wandered(action, -action.square().sum(dim=1), memory["seen"][:, 0], {"seen": seen})

    def value(self, obs: Obs) -> Tensor:
        return obs["critic"].sum(dim=1)


def break_velocity(env: ToyEnv) -> None:
    env.velocity[BROKEN, 0] = NAN


def break_reward(env: ToyEnv) -> None:
    env.target[BROKEN, 1] = NAN


def break_observation(step: Step) -> None:
    step.obs["policy"][BROKEN, 3] = NAN


FAULTS = {
    "state": (lambda: BreakingEnv(before=break_velocity), False, [WHEN]),
    "reward": (lambda: BreakingEnv(before=break_reward), False, [WHEN]),
    "action": (lambda: BreakingEnv(), True, [WHEN]),
    # Of the step that led to it nothing is known, and on the one that starts from it nothing can be based.
    "observation": (lambda: BreakingEnv(after=break_observation), False, [WHEN, WHEN + 1]),
}


def rollouts(env: ToyEnv, policy: Wanderer, num: int = 1) -> list[Rollout]:
    collector = Collector(env, NUM_STEPS, stagger_episodes=True)
    return [deepcopy(collector.collect(policy)) for _ in range(num)]


def tensors(batch: Rollout) -> dict[str, Tensor]:
    """All tensors of a rollout but its metrics, by path."""
    return by_path(replace(batch, metrics={}))


def by_path(tree: Any, path: str = "") -> dict[str, Tensor]:
    if isinstance(tree, Tensor):
        return {path: tree}
    parts = tree if isinstance(tree, dict) else vars(tree) if is_dataclass(tree) else {}
    return {p: values for name, part in parts.items() for p, values in by_path(part, f"{path}/{name}").items()}


def samples(batch: Rollout) -> dict[str, Tensor]:
    """All tensors (T, N, ...) of a rollout, by path."""
    return {path: values for path, values in tensors(batch).items() if path != "/last_value" and "memory" not in path}


@pytest.fixture(params=list(FAULTS))
def fault(request) -> tuple[BreakingEnv, Wanderer, list[int]]:
    make_env, breaks_action, steps = FAULTS[request.param]
    return make_env(), Wanderer(breaks_action), steps


def test_the_faulty_samples_are_left_out_and_no_others(fault):
    env, policy, steps = fault
    batch, after = rollouts(env, policy, num=2)
    assert (~batch.valid).nonzero().tolist() == [[step, BROKEN] for step in steps]
    assert after.valid.all()
    metrics = batch.metrics
    assert metrics["fault/envs"] == (1.0, NUM_ENVS)
    assert metrics["fault/samples"] == (len(steps), NUM_ENVS * NUM_STEPS)
    assert after.metrics["fault/envs"] == (0.0, NUM_ENVS)


def test_all_that_is_stored_is_finite_and_what_is_left_out_is_zero(fault):
    env, policy, steps = fault
    batch = rollouts(env, policy)[0]
    for name, values in tensors(batch).items():
        assert values.isfinite().all(), name
    for name, values in samples(batch).items():
        assert (values[steps, BROKEN] == 0).all() or name in BOOTSTRAPPED, name


def test_the_other_environments_are_the_same_to_the_bit_as_without_the_fault(fault):
    """Also after the restart: the toy draws its random numbers for all environments at once."""
    env, policy, _ = fault
    expected, actual = rollouts(BreakingEnv(), Wanderer(), num=2), rollouts(env, policy, num=2)
    others = torch.arange(NUM_ENVS) != BROKEN
    for there, here in zip(map(samples, expected), map(samples, actual), strict=True):
        assert there.keys() == here.keys()
        for name in there:
            assert torch.equal(there[name][:, others], here[name][:, others]), name
    for name, values in samples(expected[0]).items():
        assert torch.equal(values[:WHEN, BROKEN], samples(actual[0])[name][:WHEN, BROKEN]), name


def test_a_fault_cuts_the_episode_with_the_value_of_what_was_seen(fault):
    env, policy, steps = fault
    expected = rollouts(BreakingEnv(), Wanderer())[0]
    batch = rollouts(env, policy)[0]
    assert batch.truncated[steps, BROKEN].all()
    assert not batch.terminated[steps, BROKEN].any()
    assert batch.value[WHEN, BROKEN] == expected.value[WHEN, BROKEN]
    assert batch.terminal_value[WHEN, BROKEN] == expected.value[WHEN, BROKEN]
    # Nothing is known of an observation that is not finite, although the group that values it may be.
    assert batch.value[steps[1:], BROKEN].tolist() == [0.0] * len(steps[1:])


def test_the_memory_is_forgotten_at_a_fault(fault):
    env, policy, steps = fault
    first, second = rollouts(env, policy, num=2)
    ended = first.terminated | first.truncated
    age = 0.0
    for step in range(NUM_STEPS):
        if step not in steps:
            assert first.acted.before[step, BROKEN] == age
        age = 0.0 if ended[step, BROKEN] else age + 1.0
    assert second.memory["seen"].isfinite().all()


def test_an_episode_with_a_fault_counts_in_no_mean(fault):
    env, policy, _ = fault
    batches = rollouts(env, policy, num=3)
    age, length, count = torch.zeros(NUM_ENVS), 0.0, 0.0
    for batch in batches:
        for terminated, truncated, valid in zip(batch.terminated, batch.truncated, batch.valid, strict=True):
            age += 1
            ended = (terminated | truncated) & valid
            length, count = length + float(age[ended].sum()), count + int(ended.sum())
            age[ended | ~valid] = 0
    assert sum(float(batch.metrics["episode/length"][1]) for batch in batches) == count
    assert sum(float(batch.metrics["episode/length"][0]) for batch in batches) == length
    assert sum(float(batch.metrics["termination/time_out"][1]) for batch in batches) == count
    for name, numbers in batches[0].metrics.items():
        assert torch.stack([torch.as_tensor(number) for number in numbers]).isfinite().all(), name


def test_a_fault_in_the_last_observation_of_a_rollout_leaves_the_last_value_finite():
    env = BreakingEnv(after=break_observation)
    env.num_steps = WHEN - NUM_STEPS + 1
    first, second = rollouts(env, Wanderer(), num=2)
    assert first.last_value[BROKEN] == 0.0
    assert (~first.valid).nonzero().tolist() == [[NUM_STEPS - 1, BROKEN]]
    assert (~second.valid).nonzero().tolist() == [[0, BROKEN]]


def test_half_of_the_environments_broken_are_half_the_share():
    def break_half(env: ToyEnv) -> None:
        env.velocity[::2] = NAN

    metrics = rollouts(BreakingEnv(before=break_half), Wanderer())[0].metrics
    assert metrics["fault/envs"] == (NUM_ENVS / 2, NUM_ENVS)


def test_a_time_out_whose_last_observation_is_not_finite_is_left_out():
    env = BreakingEnv(after=lambda step: step.terminal_obs["critic"].fill_(NAN))
    env.stagger_episodes = lambda: env.episode_length.copy_(torch.arange(NUM_ENVS) % env.max_episode_length)
    batch = rollouts(env, Wanderer())[0]
    left_out = ~batch.valid[WHEN]
    assert left_out.any() and not left_out.all()
    assert batch.truncated[WHEN].equal(left_out)
    assert batch.terminal_value.isfinite().all()
