from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from rlmpc.algorithms.finetune.learner import FinetuneLearner
from rlmpc.errors import UserError
from rlmpc.networks.tree import tree_map
from tests.algorithms.updates import ratio, step

pytestmark = pytest.mark.slow

KINDS = ("none", "gru", "lstm")
FROM_STUDENT = ("actor", "memory", "noise")


def moved(policy, before: dict[str, Tensor], parameters) -> set[str]:
    """Parts of a policy whose parameters are others than `before`."""
    return {name for name, child in policy.named_children() if not torch.equal(parameters(child), before[name])}


def parts(policy, parameters) -> dict[str, Tensor]:
    return {name: parameters(child) for name, child in policy.named_children()}


@pytest.mark.parametrize("memory", KINDS)
def test_it_starts_from_what_the_student_learned(make_finetune, toy_world, memory: str):
    student, learner = make_finetune(memory)
    there, here = student.policy.state_dict(), learner.policy.state_dict()
    assert here.keys() - there.keys() == {name for name in here if "critic" in name}
    for name, values in there.items():
        assert torch.equal(values, here[name]), name
    obs, start = toy_world().reset(), student.policy.initial_memory(16)
    acted, again = (policy.act(obs, start, deterministic=True) for policy in (student.policy, learner.policy))
    assert torch.equal(acted.action, again.action)
    assert learner.policy.normalizers["critic"].count == 0


def test_noise_that_is_asked_for_is_set_also_if_the_student_had_started_with_it(run_student, make_finetune):
    student, _, _ = run_student(1)
    student.policy.noise.reset(0.3)
    noise = make_finetune(student=student, init_std=student.cfg.init_std)[1].policy.noise.log_std.exp()
    assert noise.tolist() == pytest.approx([student.cfg.init_std] * 2)
    noise = make_finetune(student=student, init_std=0.3)[1].policy.noise.log_std
    assert torch.equal(noise, student.policy.noise.log_std)


def test_predictions_of_the_student_are_left_behind(run_student, make_finetune):
    student, learner = make_finetune(student=run_student(1, "rma", predictions={"latent": 1.0})[0])
    assert len(student.policy.predictors) == 1
    assert len(learner.policy.predictors) == 0


@pytest.mark.parametrize("memory", KINDS)
def test_the_warm_up_moves_only_the_critic_and_then_the_actor_moves(make_finetune, fit, toy_world, parameters, memory):
    _, learner = make_finetune(memory, critic_warmup=2)
    before = parts(learner.policy, parameters)
    _, numbers = fit(learner, toy_world(), 2)
    assert moved(learner.policy, before, parameters) == {"critic"}
    assert [one["train/kl"] for one in numbers] == [0.0, 0.0]
    assert [one["train/learning_rate"] for one in numbers] == [pytest.approx(1e-4)] * 2
    assert all(one["loss/value"] > 0.0 for one in numbers)

    _, learner = make_finetune(memory, critic_warmup=1)
    _, numbers = fit(learner, toy_world(), 2)
    expected = {"actor", "critic", "noise"} | ({"memory"} if memory != "none" else set())
    assert moved(learner.policy, before, parameters) == expected
    assert numbers[0]["train/kl"] == 0.0
    assert numbers[1]["train/kl"] > 0.0


def test_without_a_warm_up_the_actor_moves_at_once(make_finetune, fit, toy_world, parameters):
    student, learner = make_finetune(critic_warmup=0)
    before = parts(learner.policy, parameters)
    fit(learner, toy_world(), 1)
    assert moved(learner.policy, before, parameters) == {"actor", "critic", "noise"}
    assert torch.equal(parameters(student.policy.actor), before["actor"])


@pytest.mark.parametrize("memory", KINDS)
def test_on_the_first_minibatch_the_importance_ratio_is_one_and_kl_zero(make_finetune, fit, toy_world, memory: str):
    """With episodes that ended within the rollout, and a memory from the one before."""
    _, learner = make_finetune(memory, critic_warmup=1)
    datamodule, _ = fit(learner, toy_world(), 3)
    samples = learner.samples(datamodule.collect())
    if memory != "none":
        assert samples.restarts[:-1].any()
        assert all(values.any() for values in samples.memory.values())
    assert (ratio(learner, samples) - 1.0).abs().max() < 1e-6
    learner.cfg.critic_warmup = 0
    assert step(learner, samples)[2]["train/kl"].abs() < 1e-9


def test_with_a_memory_the_ratio_is_one_only_from_where_the_rollout_started(make_finetune, fit, toy_world):
    _, learner = make_finetune("gru")
    datamodule, _ = fit(learner, toy_world(), 2)
    samples = learner.samples(datamodule.collect())
    forgotten = tree_map(torch.zeros_like, samples.memory)
    for changed in ({"memory": forgotten}, {"restarts": torch.zeros_like(samples.restarts)}):
        assert (ratio(learner, replace(samples, **changed)) - 1.0).abs().max() > 1e-3


def test_the_gradient_of_the_reward_reaches_the_memory(make_finetune, fit, toy_world):
    _, learner = make_finetune("gru", critic_warmup=0)
    datamodule, _ = fit(learner, toy_world(), 1)
    step(learner, learner.samples(datamodule.collect()))
    assert all(p.grad is not None and p.grad.any() for p in learner.policy.memory.parameters())


def test_actor_and_critic_have_learning_rates_of_their_own(make_finetune, fit, toy_world):
    _, learner = make_finetune("gru", critic_warmup=0, critic_lr=3e-3)
    _, numbers = fit(learner, toy_world(), 3)
    groups = {group["name"]: group for group in learner.optimizers().param_groups}
    assert list(groups) == ["policy", "critic"]
    assert groups["critic"]["lr"].item() == pytest.approx(3e-3)
    assert groups["policy"]["lr"].item() == pytest.approx(numbers[-1]["train/learning_rate"])
    assert {id(p) for p in groups["critic"]["params"]} == {id(p) for p in learner.policy.critic.parameters()}
    grouped = [id(p) for group in groups.values() for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in learner.parameters())


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"actor_hidden": [16, 8]}, "actor.2.weight: float32 [16, 16] | float32 [8, 16]"),
        ({"actor_hidden": [16]}, "actor.4.weight: float32 [2, 16] | missing"),
        ({"memory_width": 4}, "memory.cell.weight_hh: float32 [24, 8] | float32 [12, 4]"),
        ({"memory": "lstm"}, "memory.cell.weight_hh: float32 [24, 8] | float32 [32, 8]"),
        ({"memory": "none"}, "memory.cell.weight_hh: float32 [24, 8] | missing"),
        ({"normalize_obs": False}, "normalizers.policy.mean: float32 [42] | missing"),
    ],
)
def test_another_network_than_the_students_is_refused_with_what_differs(make_finetune, changes, line: str):
    with pytest.raises(UserError) as caught:
        make_finetune("gru", **changes)
    first, *lines = str(caught.value).splitlines()
    assert first == "the weights in 'some.ckpt' do not fit its networks (there | here):"
    assert f"  {line}" in lines
    assert not [line for line in lines if "critic" in line]


def test_the_critic_may_see_what_the_student_sees(make_finetune, fit, toy_world):
    student, learner = make_finetune(critic_group="policy")
    seen = student.policy.normalizers["policy"].count
    assert learner.policy.normalizers["policy"].count == seen
    fit(learner, toy_world(), 1)
    assert learner.policy.normalizers["policy"].count == seen + 12 * 16


def test_hyperparameters_alone_rebuild_the_learner(make_finetune, toy_world):
    _, learner = make_finetune("lstm")
    twin = FinetuneLearner(**learner.hparams)
    twin.load_state_dict(learner.state_dict())
    obs, start = toy_world().reset(), learner.policy.initial_memory(16)
    assert torch.equal(twin.policy.value(obs), learner.policy.value(obs))
    acted, again = (policy.act(obs, start, deterministic=True) for policy in (learner.policy, twin.policy))
    assert torch.equal(acted.action, again.action)
