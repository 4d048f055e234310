from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from rlmpc.algorithms.make import make_distill_learner
from rlmpc.algorithms.student.learner import StudentLearner, teacher_share
from rlmpc.algorithms.student.settings import StudentCfg
from rlmpc.errors import UserError

KINDS = ("none", "gru", "lstm")


def collected(learner: StudentLearner, datamodule, share: float = 0.5) -> dict[str, Any]:
    """A fresh rollout (T, N, ...), copied, as `training_step` gets it."""
    learner.zero_grad()
    learner.dagger.start_rollout(share)
    batch = datamodule.collect()
    return {name: v.clone() if isinstance(v, Tensor) else v for name, v in batch.items()}


def samples_of(learner: StudentLearner, datamodule) -> dict[str, Any]:
    """A fresh rollout as samples of which all count."""
    batch = collected(learner, datamodule)
    batch["weight"] = torch.ones_like(batch["reward"])
    return learner.samples({name: v for name, v in batch.items() if name not in ("metrics", "mode", "reward")})


def gradient(learner: StudentLearner, minibatch: dict[str, Any]) -> Tensor:
    learner.zero_grad()
    learner.loss(minibatch)[0].backward()
    return torch.cat([p.grad.flatten() for p in learner.policy.parameters() if p.grad is not None])


@pytest.mark.parametrize(
    ("iteration", "length", "share"),
    [(0, 20, 1.0), (5, 20, 0.75), (19, 20, 0.05), (20, 20, 0.0), (500, 20, 0.0), (3, 4, 0.25), (0, 0, 0.0), (7, 0, 0)],
)
def test_the_teachers_share_falls_linearly_from_all_to_none(iteration: int, length: int, share: float):
    assert teacher_share(iteration, length) == pytest.approx(share)


def test_the_share_of_every_iteration_is_the_schedules(run_student):
    learner, datamodule, reports = run_student(6, beta_iterations=4)
    assert [report["dagger/teacher_share"] for report in reports] == [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
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
    _, _, reports = run_student(10, memory=memory, loss=loss, learning_rate=1e-2, memory_width=32)
    losses = [report["loss/imitation"] for report in reports]
    # Of the second iteration: the first sees only how episodes start.
    assert sum(losses[-3:]) / 3 < 0.5 * losses[1]
    assert all(report["train/grad_norm"] > 0.0 for report in reports)


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
    minibatch = samples_of(learner, datamodule)
    left_out = torch.rand_like(minibatch["weight"]) < 0.4
    everything = gradient(learner, minibatch)
    minibatch["weight"][left_out] = 0.0
    kept = gradient(learner, minibatch)
    loss = learner.loss(minibatch)[0]
    for name in ("teacher_mean", "latent", "velocity"):
        minibatch[name][left_out] += 100.0
    assert torch.equal(gradient(learner, minibatch), kept)
    assert torch.equal(learner.loss(minibatch)[0], loss)
    assert not torch.allclose(kept, everything)
    for name in ("teacher_mean", "latent", "velocity"):
        minibatch[name][~left_out] += 1.0
        changed = gradient(learner, minibatch)
        assert not torch.allclose(changed, kept), name
        kept = changed


def test_the_loss_is_a_mean_over_what_has_a_weight(run_student):
    learner, datamodule, _ = run_student(1)
    minibatch = samples_of(learner, datamodule)
    minibatch["weight"][:100] = 0.0
    error = (learner.policy.distribution(minibatch["obs"], {}).mean - minibatch["teacher_mean"])[100:] ** 2
    loss, numbers = learner.loss(minibatch)
    torch.testing.assert_close(loss, error.mean())
    torch.testing.assert_close(numbers, error.mean().detach().view(1))
    assert not numbers.requires_grad


def weights_given(learner: StudentLearner, datamodule, monkeypatch, drawn: list[int]) -> Tensor:
    """Weights (T, N) that `training_step` gives to a rollout in which the teacher acted in the environments `drawn`.

    Environments 0 and 1 fall with step 6; 2 and 3 time out with step 5 and fall with step 6.
    """
    batch, seen = collected(learner, datamodule), []
    for name in ("terminated", "truncated", "teacher_acts"):
        batch[name] = torch.zeros_like(batch[name])
    batch["terminated"][6, :4] = True
    batch["truncated"][5, 2:4] = True
    batch["teacher_acts"][:, drawn] = True
    monkeypatch.setattr(learner, "update", lambda samples: seen.append(samples) or {})
    monkeypatch.setattr(learner, "publish", lambda metrics: None)
    learner.training_step(dict(batch), 0)
    return seen[0]["weight"].view(batch["reward"].shape)


def test_the_steps_before_a_fall_of_the_teacher_are_left_out_and_those_of_the_student_are_not(run_student, monkeypatch):
    learner, datamodule, _ = run_student(1, leave_out_steps=3)
    weight = weights_given(learner, datamodule, monkeypatch, drawn=[0, 2, 5])
    left_out = torch.zeros_like(weight)
    left_out[4:7, 0] = left_out[6, 2] = 1.0
    assert torch.equal(weight, 1.0 - left_out)


def test_nothing_is_left_out_unless_asked_for(run_student, monkeypatch):
    learner, datamodule, reports = run_student(2)
    assert [report["dagger/kept_share"] for report in reports] == [1.0, 1.0]
    assert (weights_given(learner, datamodule, monkeypatch, drawn=[0, 2, 5]) == 1.0).all()


def test_the_share_that_is_kept_is_reported(run_student):
    _, _, reports = run_student(3, leave_out_steps=8, beta_iterations=1000)
    assert all(report["dagger/kept_share"] <= 1.0 for report in reports)
    assert any(report["dagger/kept_share"] < 0.95 for report in reports)


def test_predictions_are_weighed_and_reach_their_predictors(run_student):
    learner, datamodule, reports = run_student(
        5, "rma", predictions={"latent": 0.7, "velocity": 0.3}, learning_rate=1e-2
    )
    assert list(learner.policy.predictors) == ["latent", "velocity"]
    for name in ("latent", "velocity"):
        losses = [report[f"loss/{name}"] for report in reports]
        assert losses[-1] < 0.6 * losses[0]
    minibatch = samples_of(learner, datamodule)
    predicted = learner.policy.predict(minibatch["obs"], {})
    latent, velocity = (((predicted[name] - minibatch[name]) ** 2).mean() for name in ("latent", "velocity"))
    loss, numbers = learner.loss(minibatch)
    torch.testing.assert_close(numbers[1:], torch.stack([latent, velocity]).detach())
    torch.testing.assert_close(loss, numbers[0] + 0.7 * latent + 0.3 * velocity)
    loss.backward()
    for predictor in learner.policy.predictors.values():
        assert all(p.grad is not None and p.grad.any() for p in predictor.parameters())


def test_only_what_is_weighed_is_predicted(make_student):
    assert list(make_student("rma", predictions={"velocity": 1.0}).policy.predictors) == ["velocity"]
    assert list(make_student("rma").policy.predictors) == []
    assert not make_student("rma").dagger.targets


@pytest.mark.parametrize("key", ["latent", "velocity"])
def test_a_teacher_that_does_not_know_what_is_to_be_predicted_is_refused(make_student, key: str):
    with pytest.raises(UserError, match=f"'agent.predictions' names '{key}', but this teacher, agent 'ppo'"):
        make_student("ppo", predictions={key: 1.0})


def numbered(steps: int, envs: int, memory: bool) -> dict[str, Any]:
    """A rollout whose every entry is 100 x environment + step."""
    number = torch.arange(steps).unsqueeze(1) + 100.0 * torch.arange(envs)
    return {
        "obs": {"policy": number.unsqueeze(2).clone()},
        "weight": number.clone(),
        "terminated": number == 1.0,
        "truncated": number == 102.0,
        "memory": {"hidden": 100.0 * torch.arange(envs).unsqueeze(1)} if memory else {},
    }


def test_without_a_memory_single_samples_are_shuffled(make_student):
    learner = make_student()
    samples = learner.samples(numbered(6, 4, memory=False))
    minibatches = list(learner.minibatches(samples, num_epochs=2, num_minibatches=3))
    assert [minibatch["weight"].shape for minibatch in minibatches] == [(8,)] * 6
    for epoch in (minibatches[:3], minibatches[3:]):
        seen = torch.cat([minibatch["weight"] for minibatch in epoch])
        assert sorted(seen.tolist()) == sorted(numbered(6, 4, memory=False)["weight"].flatten().tolist())
        assert torch.equal(seen, torch.cat([minibatch["obs"]["policy"] for minibatch in epoch]).flatten())
    mixed = minibatches[0]["weight"]
    assert len(set((mixed // 100).tolist())) > 1
    assert mixed.tolist() != sorted(mixed.tolist())


def test_with_a_memory_whole_environments_are_shuffled_and_keep_their_order_in_time(make_student):
    learner = make_student(memory="gru")
    samples = learner.samples(numbered(6, 8, memory=True))
    assert samples["ended"].nonzero().tolist() == [[1, 0], [2, 1]]
    minibatches = list(learner.minibatches(samples, num_epochs=2, num_minibatches=4))
    assert [minibatch["weight"].shape for minibatch in minibatches] == [(6, 2)] * 8
    for epoch in (minibatches[:4], minibatches[4:]):
        envs = torch.cat([minibatch["memory"]["hidden"].flatten() for minibatch in epoch])
        assert sorted(envs.tolist()) == [100.0 * env for env in range(8)]
        assert envs.tolist() != sorted(envs.tolist())
        for minibatch in epoch:
            expected = minibatch["memory"]["hidden"].T + torch.arange(6.0).unsqueeze(1)
            assert torch.equal(minibatch["weight"], expected)
            assert torch.equal(minibatch["obs"]["policy"].squeeze(2), expected)
            assert minibatch["ended"].sum() == ((expected == 1.0) | (expected == 102.0)).sum()


@pytest.mark.parametrize("memory", ["gru", "lstm"])
def test_a_rollout_is_recalled_from_the_memory_that_it_started_with(run_student, monkeypatch, memory: str):
    learner, datamodule, _ = run_student(2, memory=memory)
    # Without noise, what was remembered shows in the actions.
    act = learner.policy.act
    monkeypatch.setattr(learner.policy, "act", lambda obs, memory: act(obs, memory, deterministic=True))
    batch = collected(learner, datamodule, share=0.0)
    ended = batch["terminated"] | batch["truncated"]
    assert ended[:-1].any()
    assert all(values.any() for values in batch["memory"].values())
    # Imitating itself leaves no loss, if everything is remembered as it was.
    batch |= {"teacher_mean": batch["action"], "weight": torch.ones_like(batch["reward"])}
    samples = learner.samples({name: v for name, v in batch.items() if name not in ("metrics", "mode", "reward")})
    assert learner.loss(samples)[0] < 1e-10
    samples["memory"] = {name: torch.zeros_like(values) for name, values in samples["memory"].items()}
    assert learner.loss(samples)[0] > 1e-6


def test_the_gradient_stops_where_the_rollout_starts(run_student):
    learner, datamodule, _ = run_student(2, memory="gru")
    samples = samples_of(learner, datamodule)
    assert not samples["memory"]["hidden"].requires_grad
    assert samples["memory"]["hidden"].any()


def test_the_students_normalizer_has_seen_the_policy_group_once_and_before_the_update(run_student, monkeypatch):
    counts = []
    original = StudentLearner.update

    def update(self: StudentLearner, samples: dict[str, Any]):
        counts.append(self.policy.normalizers["policy"].count.item())
        return original(self, samples)

    monkeypatch.setattr(StudentLearner, "update", update)
    learner, _, _ = run_student(3)
    assert list(learner.policy.normalizers) == ["policy"]
    assert counts == [192.0, 384.0, 576.0]
    assert learner.policy.normalizers["policy"].count == 576.0


def test_the_students_normalizer_holds_the_moments_of_what_it_sensed(run_student):
    learner, datamodule, _ = run_student(1)
    seen = datamodule.collector._buffer.views()["obs"]["policy"].flatten(0, 1)
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
    assert torch.equal(acted["action"], again["action"])
    label, same = (policy.act(obs, {}, deterministic=True) for policy in (learner.teacher, twin.teacher))
    assert torch.equal(label["action"], same["action"])


def test_the_file_holds_the_teacher_and_where_it_came_from(run_student, tmp_path: Path):
    learner, datamodule, _ = run_student(1)
    datamodule.trainer.save_checkpoint(tmp_path / "a.ckpt")
    content = torch.load(tmp_path / "a.ckpt", weights_only=True)
    teacher = content["hyper_parameters"]["teacher"]
    assert teacher["agent"]["algorithm"] == "ppo"
    assert teacher["agent"]["actor_hidden"] == [64, 64]
    assert teacher["sha256"] == "0" * 64
    assert teacher["iteration"] == 2
    assert teacher["evaluation"] == {"reward_per_step": 0.5}
    assert "episode/reward_per_step" in teacher["numbers"]
    for name, values in learner.teacher.state_dict().items():
        assert torch.equal(content["state_dict"][f"teacher.{name}"], values), name


def test_a_teacher_whose_weights_do_not_fit_its_settings_is_refused(toy_teachers, toy_world):
    teacher = toy_teachers["ppo"]
    settings = {**teacher.hyperparameters, "agent": teacher.hyperparameters["agent"] | {"actor_hidden": [64, 32]}}
    with pytest.raises(UserError) as caught:
        make_distill_learner(StudentCfg(), toy_world().contract, replace(teacher, hyperparameters=settings), {})
    assert "actor.2.weight: [64, 64] | [32, 64]" in str(caught.value)
