from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from rlmpc.algorithms.student.learner import StudentLearner, StudentSamples, teacher_share
from rlmpc.algorithms.student.settings import StudentCfg
from rlmpc.errors import UserError
from rlmpc.networks.tree import tree_map
from rlmpc.rollout.rollout import Rollout
from tests.algorithms.updates import step

KINDS = ("none", "gru", "lstm")


def collected(learner: StudentLearner, datamodule, share: float = 0.5) -> Rollout:
    """A fresh rollout, copied."""
    learner.dagger.start_rollout(share)
    return tree_map(torch.clone, replace(datamodule.collect(), metrics={}))


@pytest.mark.parametrize(
    ("iteration", "length", "share"),
    [(0, 20, 1.0), (5, 20, 0.75), (19, 20, 0.05), (20, 20, 0.0), (500, 20, 0.0), (3, 4, 0.25), (0, 0, 0.0), (7, 0, 0)],
)
def test_the_teachers_share_falls_linearly_from_all_to_none(iteration: int, length: int, share: float):
    assert teacher_share(iteration, length) == pytest.approx(share)


def test_the_share_of_every_iteration_is_the_schedules(run_student):
    learner, datamodule, numbers = run_student(6, beta_iterations=4)
    assert [one["dagger/teacher_share"] for one in numbers] == [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    assert datamodule.num_collected == 6
    updates = learner.cfg.num_epochs * learner.cfg.num_minibatches
    assert datamodule.updates_before == [i * updates for i in range(6)]


@pytest.mark.parametrize("teacher", ["ppo", "rma"])
def test_the_teacher_does_not_move_while_the_student_does(
    make_student, toy_teachers, fit, toy_world, parameters, teacher: str
):
    learner = make_student(teacher, beta_iterations=2)
    before = {name: values.clone() for name, values in learner.teacher.state_dict().items()}
    actor = parameters(learner.policy.actor)
    fit(learner, toy_world(), 3)
    for name, values in learner.teacher.state_dict().items():
        assert torch.equal(values, before[name]), name
        assert torch.equal(values, toy_teachers[teacher].state_dict[f"policy.{name}"]), name
    assert not torch.equal(parameters(learner.policy.actor), actor)
    assert learner.policy.normalizers["policy"].count > 0
    assert not any(p.requires_grad for p in learner.teacher.parameters())
    assert not any(module.training for module in learner.teacher.modules())


def test_only_the_students_parameters_are_optimized(run_student):
    learner, _, _ = run_student(1)
    (group,) = learner.optimizers().param_groups
    assert sorted(map(id, group["params"])) == sorted(map(id, learner.policy.parameters()))


def test_switching_to_training_mode_leaves_the_teacher_in_evaluation_mode(make_student):
    learner = make_student()
    learner.train()
    assert learner.policy.training
    assert not learner.teacher.training
    assert not learner.eval().policy.training


@pytest.mark.parametrize(("loss", "memory"), [("mse", "none"), ("kl", "none"), ("huber", "gru"), ("mse", "lstm")])
def test_the_students_loss_falls(run_student, memory: str, loss: str):
    _, _, numbers = run_student(10, memory=memory, loss=loss, learning_rate=1e-2, memory_width=32)
    losses = [one["loss/imitation"] for one in numbers]
    # Of the second iteration: the first sees only how episodes start.
    assert sum(losses[-3:]) / 3 < 0.5 * losses[1]
    assert all(one["train/grad_norm"] > 0.0 for one in numbers)


def test_only_the_kl_loss_changes_the_noise(run_student):
    for loss in ("mse", "huber"):
        assert run_student(2, loss=loss)[2][-1]["train/noise_std"] == pytest.approx(0.1, rel=1e-6)
    assert run_student(2, loss="kl")[2][-1]["train/noise_std"] > 0.1005


def test_the_noise_stays_below_its_ceiling(run_student):
    learner, _, _ = run_student(3, loss="kl", max_std=0.11, learning_rate=0.1)
    assert learner.policy.noise.log_std.exp().max() <= 0.11 + 1e-6


@pytest.mark.parametrize("memory", ["none", "gru"])
def test_what_has_no_weight_has_no_influence(run_student, memory: str):
    learner, datamodule, _ = run_student(1, "rma", memory=memory, predictions={"latent": 1.0, "velocity": 1.0})
    samples = learner.samples(collected(learner, datamodule))
    has_none = torch.rand_like(samples.weight) < 0.4
    everything = step(learner, samples)[1]
    samples.weight[has_none] = 0.0
    loss, kept, _ = step(learner, samples)
    taught = (samples.teacher_mean, *samples.targets.values())
    for values in taught:
        values[has_none] += 100.0
    # Samples are shuffled, so sums are of another order.
    torch.testing.assert_close(step(learner, samples)[:2], (loss, kept), rtol=1e-4, atol=1e-7)
    assert not torch.allclose(kept, everything)
    for values in taught:
        values[~has_none] += 1.0
        changed = step(learner, samples)[1]
        assert not torch.allclose(changed, kept)
        kept = changed


def test_the_loss_is_a_mean_over_what_has_a_weight(run_student):
    learner, datamodule, _ = run_student(1)
    samples = learner.samples(collected(learner, datamodule))
    samples.weight[:100] = 0.0
    error = (learner.policy.distribution(samples.obs, {}).mean - samples.teacher_mean)[100:] ** 2
    loss, _, numbers = step(learner, samples)
    torch.testing.assert_close(loss, error.mean().detach())
    torch.testing.assert_close(numbers["loss/imitation"], loss)


def weights_given(learner: StudentLearner, datamodule, drawn: list[int]) -> Tensor:
    """Weights (T, N) of a rollout in which the teacher acted in the environments `drawn`.

    Environments 0 and 1 fall with step 6; 2 and 3 time out with step 5 and fall with step 6.
    """
    rollout = collected(learner, datamodule)
    for values in (rollout.terminated, rollout.truncated, rollout.acted.teacher_acts):
        values.zero_()
    rollout.terminated[6, :4] = True
    rollout.truncated[5, 2:4] = True
    rollout.acted.teacher_acts[:, drawn] = True
    return learner.samples(rollout).weight.view(rollout.reward.shape)


def test_the_steps_before_a_fall_of_the_teacher_are_left_out_and_those_of_the_student_are_not(run_student):
    learner, datamodule, _ = run_student(1, leave_out_steps=3)
    weight = weights_given(learner, datamodule, drawn=[0, 2, 5])
    left_out = torch.zeros_like(weight)
    left_out[4:7, 0] = left_out[6, 2] = 1.0
    assert torch.equal(weight, 1.0 - left_out)


def test_nothing_is_left_out_unless_asked_for(run_student):
    learner, datamodule, numbers = run_student(2)
    assert [one["dagger/kept_share"] for one in numbers] == [1.0, 1.0]
    assert (weights_given(learner, datamodule, drawn=[0, 2, 5]) == 1.0).all()


def test_the_share_that_is_kept_is_reported(run_student):
    _, _, numbers = run_student(3, leave_out_steps=8, beta_iterations=1000)
    assert all(one["dagger/kept_share"] <= 1.0 for one in numbers)
    assert any(one["dagger/kept_share"] < 0.95 for one in numbers)


def test_predictions_are_weighed_and_reach_their_predictors(run_student):
    weights = {"latent": 0.7, "velocity": 0.3}
    learner, datamodule, numbers = run_student(5, "rma", predictions=weights, learning_rate=1e-2)
    assert list(learner.policy.predictors) == ["latent", "velocity"]
    for name in weights:
        assert numbers[-1][f"loss/{name}"] < 0.6 * numbers[0][f"loss/{name}"]
    samples = learner.samples(collected(learner, datamodule))
    predicted = learner.policy.predict(samples.obs, {})
    errors = {name: ((predicted[name] - samples.targets[name]) ** 2).mean().detach() for name in weights}
    loss, _, reported = step(learner, samples)
    for name, error in errors.items():
        torch.testing.assert_close(reported[f"loss/{name}"], error)
    torch.testing.assert_close(loss, reported["loss/imitation"] + 0.7 * errors["latent"] + 0.3 * errors["velocity"])
    for predictor in learner.policy.predictors.values():
        assert all(p.grad is not None and p.grad.any() for p in predictor.parameters())


def test_only_what_is_weighed_is_predicted(make_student):
    for predictions, expected in (({"velocity": 1.0}, ["velocity"]), ({}, [])):
        learner = make_student("rma", predictions=predictions)
        assert list(learner.policy.predictors) == list(learner.dagger.targets) == expected


@pytest.mark.parametrize(
    ("teacher", "name", "known"),
    [
        ("ppo", "latent", "nothing beside its actions"),
        ("rma", "velocities", "latent, velocity; did you mean 'velocity'?"),
    ],
)
def test_a_teacher_that_does_not_know_what_is_to_be_predicted_is_refused(make_student, teacher, name, known):
    with pytest.raises(UserError) as caught:
        make_student(teacher, predictions={name: 1.0})
    line = f"'agent.predictions' names '{name}', but the teacher in 'some.ckpt' can teach {known}"
    assert str(caught.value) == line


@pytest.mark.parametrize("memory", ["gru", "lstm"])
def test_a_rollout_is_recalled_from_the_memory_that_it_started_with(run_student, monkeypatch, memory: str):
    learner, datamodule, _ = run_student(2, memory=memory)
    # Without noise, what was remembered shows in the actions.
    act = learner.policy.act
    monkeypatch.setattr(learner.policy, "act", lambda obs, memory, _: act(obs, memory, deterministic=True))
    rollout = collected(learner, datamodule, share=0.0)
    assert rollout.terminated[:-1].any()
    assert all(values.any() for values in rollout.memory.values())
    # Imitating itself leaves no loss, if everything is remembered as it was.
    rollout.acted.teacher_mean = rollout.acted.action
    samples = learner.samples(rollout)
    assert step(learner, samples)[0] < 1e-10
    forgotten = tree_map(torch.zeros_like, samples.memory)
    assert step(learner, replace(samples, memory=forgotten))[0] > 1e-6


def test_the_gradient_stops_where_the_rollout_starts(run_student):
    learner, datamodule, _ = run_student(2, memory="gru")
    memory = learner.samples(collected(learner, datamodule)).memory["hidden"]
    assert not memory.requires_grad
    assert memory.any()


def test_the_students_normalizer_has_seen_the_policy_group_once_and_before_the_update(run_student, monkeypatch):
    counts = []
    original = StudentLearner.update

    def update(self: StudentLearner, samples: StudentSamples):
        counts.append(self.policy.normalizers["policy"].count.item())
        return original(self, samples)

    monkeypatch.setattr(StudentLearner, "update", update)
    learner, _, _ = run_student(3)
    assert list(learner.policy.normalizers) == ["policy"]
    assert counts == [192.0, 384.0, 576.0]
    assert learner.policy.normalizers["policy"].count == 576.0


def test_the_students_normalizer_holds_the_moments_of_what_it_sensed(run_student):
    learner, datamodule, _ = run_student(1)
    seen = datamodule.collector._storage.parts["obs"]["policy"].flatten(0, 1)
    normalizer = learner.policy.normalizers["policy"]
    torch.testing.assert_close(normalizer.mean, seen.mean(dim=0), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(normalizer.var, seen.var(dim=0, correction=0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("memory", KINDS)
def test_the_file_alone_rebuilds_the_learner(run_student, tmp_path: Path, memory: str):
    learner, datamodule, _ = run_student(1, "rma", memory=memory, predictions={"latent": 1.0})
    datamodule.trainer.save_checkpoint(tmp_path / "a.ckpt")
    content = torch.load(tmp_path / "a.ckpt", weights_only=True)
    twin = StudentLearner(**content["hyper_parameters"])
    twin.load_state_dict(content["state_dict"])
    obs = datamodule.env.reset()
    start = learner.policy.initial_memory(16)
    acted, again = (policy.act(obs, start, deterministic=True) for policy in (learner.policy, twin.policy))
    assert torch.equal(acted.action, again.action)
    label, same = (policy.act(obs, {}, deterministic=True) for policy in (learner.teacher, twin.teacher))
    assert torch.equal(label.action, same.action)


def test_the_file_holds_the_teacher_and_where_it_came_from(run_student, tmp_path: Path):
    learner, datamodule, _ = run_student(1, teacher_check_steps=5)
    datamodule.trainer.save_checkpoint(tmp_path / "a.ckpt")
    content = torch.load(tmp_path / "a.ckpt", weights_only=True)
    teacher = content["hyper_parameters"]["teacher"]
    assert teacher["agent"]["algorithm"] == "ppo"
    assert teacher["agent"]["actor_hidden"] == [64, 64]
    assert teacher["sha256"] == "0" * 64
    assert teacher["iteration"] == 2
    assert teacher["evaluation"].keys() == {"reward_per_step", "falls_per_minute"}
    assert "episode/reward_per_step" in teacher["numbers"]
    for name, values in learner.teacher.state_dict().items():
        assert torch.equal(content["state_dict"][f"teacher.{name}"], values), name


def test_a_teacher_whose_weights_do_not_fit_its_settings_is_refused(toy_teachers, toy_world):
    teacher = toy_teachers["ppo"]
    settings = {**teacher.hyperparameters, "agent": teacher.hyperparameters["agent"] | {"actor_hidden": [64, 32]}}
    with pytest.raises(UserError) as caught:
        StudentLearner.start(StudentCfg(), toy_world(), replace(teacher, hyperparameters=settings), print)
    assert "actor.2.weight: float32 [64, 64] | float32 [32, 64]" in str(caught.value)
