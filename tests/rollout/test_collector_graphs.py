"""A rollout that a GPU replays from recorded graphs is the rollout that Python computes."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any, ClassVar

import pytest
import torch

from rlmpc.algorithms.rma.policy import RmaActorCritic
from rlmpc.algorithms.student.dagger import DaggerPolicy
from rlmpc.algorithms.student.policy import StudentPolicy
from rlmpc.algorithms.student.settings import StudentCfg
from rlmpc.algorithms.table import ALGORITHMS
from rlmpc.command_line.train import compose_train
from rlmpc.contract.episode import Trial
from rlmpc.envs.toy import ToyEnv, ToyEnvCfg
from rlmpc.envs.vec_env import Step
from rlmpc.graphs import use_graphs
from rlmpc.networks.policy import GaussianPolicy
from rlmpc.networks.tree import leaves
from rlmpc.rollout import collector
from rlmpc.rollout.collector import Collector
from rlmpc.rollout.held_out import HeldOut
from rlmpc.rollout.rollout import Rollout
from rlmpc.rollout.rollout_policy import RolloutPolicy
from tests.recorded import RecordedOnCpu

NUM_ENVS, NUM_STEPS, ITERATIONS, BROKEN = 16, 5, 8, 3
ON_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="records graphs on a GPU only")
DEVICES = ["cpu", pytest.param("cuda", marks=ON_GPU)]


class OneTensorEnv(ToyEnv):
    """Returns `critic` and `teacher` as one tensor, always the same one; now and then an observation is not finite."""

    num_steps = 0
    places: dict[str, torch.Tensor] | None = None

    def reset(self) -> dict[str, torch.Tensor]:
        obs = super().reset()
        return obs | {"teacher": obs["critic"]}

    def step(self, actions: torch.Tensor) -> Step:
        step = super().step(actions)
        self.num_steps += 1
        if self.num_steps % 7 == 0:
            step.obs["policy"][BROKEN, 0] = float("nan")
        self.places = self.places or step.obs | {"teacher": step.obs["critic"]}
        for group in ("policy", "critic"):
            self.places[group].copy_(step.obs[group])
        return replace(step, obs=self.places)


class HeldOutEnv(OneTensorEnv):
    """Two environments are held out, one of them the one with broken observations; measures how points move."""

    trials: ClassVar = {BROKEN: Trial("arena", 1, (0.5, 0.0, 0.0)), 9: Trial("arena", 2, (0.0, 0.0, 1.0))}

    def step(self, actions: torch.Tensor) -> Step:
        step = super().step(actions)
        velocity = torch.nn.functional.pad(self.velocity, (0, 1))
        return replace(step, motion={"velocity": velocity, "position": self.position.clone()})


class OftenWithoutEndEnv(OneTensorEnv):
    """Gives terminal observations only when an episode was cut, as Isaac Lab's own step does."""

    def step(self, actions: torch.Tensor) -> Step:
        step = super().step(actions)
        return step if step.truncated.any() else replace(step, terminal_obs=None)


def policy_of(agent: str, env: ToyEnv) -> GaussianPolicy:
    settings = compose_train(["task=toy", f"agent={agent}"])[0].agent
    return ALGORITHMS[agent].policy()(settings, env.contract).to(env.device)


def ppo(env: ToyEnv) -> GaussianPolicy:
    return policy_of("ppo", env)


def rma(env: ToyEnv) -> GaussianPolicy:
    return policy_of("rma", env)


def dagger(env: ToyEnv) -> DaggerPolicy:
    student = StudentPolicy(StudentCfg(actor_hidden=[16], memory="gru", memory_width=8), env.contract)
    return DaggerPolicy(student.to(env.device), policy_of("rma", env), ("latent", "velocity"))


def begin_iteration(policy: RolloutPolicy, iteration: int) -> None:
    """Change what learners change between rollouts: who acts on what, the weights, the normalizers."""
    if isinstance(policy, DaggerPolicy):
        policy.start_rollout(0.5)
    if isinstance(policy, RmaActorCritic):
        policy.on_robot() if iteration % 3 == 0 else policy.in_simulation()
    module = policy.student if isinstance(policy, DaggerPolicy) else policy
    assert isinstance(module, GaussianPolicy)
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            tensor.mul_(1.01)


def rollouts(
    make: Callable[[ToyEnv], Any], device: str, resumes: bool, env_class: type[OneTensorEnv] = OneTensorEnv
) -> list[Rollout]:
    """Collect some, with a policy that changes; with `resumes`, the middle ones twice, the second time are returned."""
    torch.manual_seed(4)
    env = env_class(ToyEnvCfg(episode_length_s=0.6), NUM_ENVS, device, 1)
    held_out = HeldOut(env, HeldOutEnv.trials, 1, NUM_STEPS) if isinstance(env, HeldOutEnv) else None
    policy, collects = make(env), Collector(env, NUM_STEPS, stagger_episodes=True, held_out=held_out)
    found = []
    for iteration in range(ITERATIONS):
        begin_iteration(policy, iteration)
        if held_out is not None:
            held_out.begin_iteration(iteration)
        if resumes and iteration == ITERATIONS // 2:
            state, here = collects.state_dict(), env.state()
            random = torch.cuda.get_rng_state() if device == "cuda" else torch.get_rng_state()
            held = deepcopy(policy) if isinstance(policy, DaggerPolicy) else None
            collects.collect(policy)
            policy = held or policy
            env.load_state(here)
            env.num_steps -= NUM_STEPS
            collects.load_state_dict(state)
            torch.cuda.set_rng_state(random) if device == "cuda" else torch.set_rng_state(random)
        found.append(deepcopy(collects.collect(policy)))
    return found


def numbers_of(rollout: Rollout) -> list[torch.Tensor]:
    counted = [number for pair in rollout.metrics.values() for number in pair]
    return [*leaves(replace(rollout, metrics={})), *counted]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("make", "resumes", "env_class"),
    [
        *((make, resumes, OneTensorEnv) for make in (ppo, rma, dagger) for resumes in (False, True)),
        (ppo, False, OftenWithoutEndEnv),
        *((make, resumes, HeldOutEnv) for make in (ppo, dagger) for resumes in (False, True)),
    ],
)
def test_replayed_rollouts_are_those_that_python_computes(monkeypatch, make, resumes: bool, env_class, device: str):
    use_graphs(False)
    plain = rollouts(make, device, resumes, env_class)
    use_graphs(True)
    made: list[RecordedOnCpu] = []
    if device == "cpu":

        def recorded(*arguments: Any, **options: Any) -> RecordedOnCpu:
            made.append(RecordedOnCpu(*arguments, **options))
            return made[-1]

        monkeypatch.setattr(collector, "Replayed", recorded)
    replayed = rollouts(make, device, resumes, env_class)
    assert not plain[-1].valid.all() or not plain[-2].valid.all()
    if env_class is HeldOutEnv:
        assert sum(float(rollout.metrics["evaluation/success"][1]) for rollout in plain) > 0.0
    for before, after in zip(plain, replayed, strict=True):
        for there, here in zip(numbers_of(before), numbers_of(after), strict=True):
            torch.testing.assert_close(here, there, rtol=0.0, atol=0.0 if device == "cpu" else 1e-5, equal_nan=True)
    if device == "cpu":
        assert sum(recording.num_replays for recording in made) > ITERATIONS * NUM_STEPS


def test_groups_that_are_one_tensor_are_kept_once():
    env = OneTensorEnv(ToyEnvCfg(), NUM_ENVS, "cpu", 1)
    both = ppo(env)
    both.groups = ("policy", "teacher", "critic")
    rollout = Collector(env, 2, stagger_episodes=False).collect(both)
    assert set(rollout.obs) == {"policy", "teacher", "critic"}
    assert rollout.obs["teacher"] is rollout.obs["critic"]
    assert rollout.obs["policy"] is not rollout.obs["critic"]
