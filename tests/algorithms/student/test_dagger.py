from __future__ import annotations

import pytest
import torch

from rlmpc.algorithms.rma.policy import RmaActorCritic
from rlmpc.algorithms.student.dagger import DaggerPolicy, drawn_share
from rlmpc.algorithms.student.policy import StudentPolicy
from rlmpc.algorithms.student.settings import StudentCfg
from rlmpc.algorithms.table import ALGORITHMS
from rlmpc.command_line.train import compose_train
from rlmpc.envs.toy import ToyEnv
from rlmpc.networks.policy import GaussianPolicy
from rlmpc.rollout.collector import Collector


def teacher(env: ToyEnv, *arguments: str) -> GaussianPolicy:
    """A new policy whose actions are not all near zero."""
    cfg = compose_train(["task=toy", *arguments])[0].agent
    made = ALGORITHMS[cfg.algorithm].policy()(cfg, env.contract)
    with torch.no_grad():
        made.actor[-1].weight.mul_(50.0)
    return made.requires_grad_(False)


def student(env: ToyEnv, memory: str) -> GaussianPolicy:
    """A new student that acts with noise."""
    settings = StudentCfg(actor_hidden=[16], memory=memory, memory_width=8)
    return StudentPolicy(settings, env.contract).requires_grad_(False)


def dagger(
    env: ToyEnv, share: float, memory: str = "none", *arguments: str, targets: tuple[str, ...] = ()
) -> DaggerPolicy:
    together = DaggerPolicy(student(env, memory), teacher(env, *arguments), targets)
    together.start_rollout(share)
    return together


@pytest.mark.parametrize(("share", "num_rows", "expected"), [(0.0, 8, 0), (1.0, 8, 8), (0.25, 8, 2), (0.3, 10, 3)])
def test_exactly_the_share_is_drawn(share: float, num_rows: int, expected: int):
    for _ in range(20):
        assert drawn_share(share, torch.zeros(num_rows, 2)).sum() == expected


def test_every_environment_is_drawn_equally_often():
    torch.manual_seed(0)
    drawn = torch.stack([drawn_share(0.25, torch.zeros(8, 2)) for _ in range(2000)])
    assert (drawn.float().mean(dim=0) - 0.25).abs().max() < 0.05


def test_the_teacher_acts_by_its_mean_where_drawn_and_the_student_with_noise_elsewhere(toy_env: ToyEnv):
    together, obs = dagger(toy_env, 0.5), toy_env.reset()
    torch.manual_seed(3)
    acted = together.act(obs, {})
    torch.manual_seed(3)
    of_student = together.student.act(obs, {})
    of_teacher = together.teacher.distribution(obs, {}).mean
    drawn = acted.teacher_acts
    assert drawn.sum() == 8
    assert torch.equal(acted.action[drawn], of_teacher[drawn])
    assert torch.equal(acted.action[~drawn], of_student.action[~drawn])
    assert ((of_student.action - of_student.mean).abs() > 0.0).all()


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_every_observation_is_labelled_whoever_acts(toy_env: ToyEnv, share: float):
    together = dagger(toy_env, share)
    rollout = Collector(toy_env, 6, False).collect(together)
    assert rollout.acted.teacher_mean.shape == (6, 16, 2)
    torch.testing.assert_close(rollout.acted.teacher_std, torch.ones(6, 16, 2))
    again = ToyEnv(toy_env.cfg, 16, "cpu", 0)
    obs = again.reset()
    for t in range(6):
        assert torch.equal(rollout.acted.teacher_mean[t], together.teacher.distribution(obs, {}).mean)
        obs = again.step(rollout.acted.action[t]).obs


def test_who_acts_stays_during_a_rollout_and_is_drawn_anew_for_the_next(toy_env: ToyEnv):
    together, collector = dagger(toy_env, 0.5), Collector(toy_env, 5, False)
    first = collector.collect(together).acted.teacher_acts.clone()
    assert (first == first[0]).all()
    drawn = []
    for _ in range(4):
        together.start_rollout(0.5)
        drawn.append(collector.collect(together).acted.teacher_acts[0].clone())
    assert all(row.sum() == 8 for row in drawn)
    assert any(not torch.equal(row, first[0]) for row in drawn)
    together.start_rollout(0.0)
    assert not collector.collect(together).acted.teacher_acts.any()


def test_the_students_memory_runs_on_also_where_the_teacher_acts(toy_env: ToyEnv):
    together, collector = dagger(toy_env, 1.0, "gru"), Collector(toy_env, 5, False)
    assert not collector.collect(together).memory["hidden"].any()
    start = collector.collect(together).memory["hidden"]
    assert (start.abs().sum(dim=1) > 0.0).all()


def test_only_what_the_student_senses_is_kept(toy_env: ToyEnv):
    rollout = Collector(toy_env, 2, False).collect(dagger(toy_env, 0.5))
    assert list(rollout.obs) == ["policy"]
    assert rollout.acted.targets == {}
    assert rollout.value is None


def test_the_targets_of_an_adapting_teacher_are_its_privileged_latent_and_the_true_velocity(toy_env: ToyEnv):
    together = dagger(toy_env, 0.0, "none", "agent=rma", targets=("latent", "velocity"))
    assert isinstance(together.teacher, RmaActorCritic)
    obs = toy_env.step(torch.full((16, 2), 0.5)).obs
    acted = together.act(obs, {})
    assert torch.equal(acted.targets["latent"], together.teacher.privileged_latent(obs))
    assert torch.equal(acted.targets["velocity"], toy_env.velocity)
    assert acted.targets["velocity"].abs().min() > 0.0


def test_an_adapting_teacher_labels_with_its_privileged_latent(toy_env: ToyEnv):
    together, obs = dagger(toy_env, 0.0, "none", "agent=rma"), toy_env.reset()
    rma = together.teacher
    assert isinstance(rma, RmaActorCritic)
    label = together.act(obs, {}).teacher_mean
    by_hand = rma.distribution_given(obs, rma.estimate_velocity(obs), rma.privileged_latent(obs)).mean
    assert torch.equal(label, by_hand)
