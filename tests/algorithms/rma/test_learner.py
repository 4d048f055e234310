import pytest
import torch
from torch import Tensor

from rlmpc.algorithms.ppo.learner import PpoLearner
from rlmpc.algorithms.rma.learner import RmaLearner


def parameters(module: torch.nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in module.parameters()]).clone()


def test_on_the_first_minibatch_of_every_kind_of_iteration_the_ratio_is_one_and_kl_zero(run_toy, first_minibatches):
    run_toy(7, num_envs=16, agent="rma", history_every=3, regularizer_start=2, regularizer_ramp=2)
    assert [mode for mode, _, _ in first_minibatches] == ["privileged", "privileged", "history"] * 2 + ["privileged"]
    for _, ratio, kl in first_minibatches:
        assert (ratio - 1.0).abs().max() < 1e-6
        assert kl.abs() < 1e-9


def test_with_the_references_mixed_inputs_the_ratio_is_not_one(run_toy, first_minibatches):
    run_toy(3, num_envs=16, agent="rma", history_every=3, compat="reference")
    for _, ratio, kl in first_minibatches:
        assert (ratio - 1.0).abs().max() > 1e-4
        assert kl > 1e-9


def test_an_iteration_on_the_privileged_latent_leaves_the_history_encoder_alone(run_toy):
    before = run_toy(1, num_envs=16, agent="rma", history_every=5)[0]
    after = run_toy(3, num_envs=16, agent="rma", history_every=5)[0]
    for name in ("actor", "critic", "privileged_encoder", "estimator"):
        assert not torch.equal(parameters(getattr(before.policy, name)), parameters(getattr(after.policy, name))), name
    assert torch.equal(parameters(before.policy.history_encoder), parameters(after.policy.history_encoder))


def test_an_iteration_on_the_history_latent_trains_the_history_encoder_and_not_the_privileged_one(run_toy):
    before = run_toy(2, num_envs=16, agent="rma", history_every=3, regularizer_start=100)[0]
    after = run_toy(3, num_envs=16, agent="rma", history_every=3, regularizer_start=100)[0]
    for name in ("actor", "critic", "history_encoder", "estimator"):
        assert not torch.equal(parameters(getattr(before.policy, name)), parameters(getattr(after.policy, name))), name
    assert torch.equal(parameters(before.policy.privileged_encoder), parameters(after.policy.privileged_encoder))


def test_the_regularizer_pulls_the_privileged_latent_to_the_history_latent(run_toy):
    free = run_toy(6, num_envs=16, agent="rma", history_every=100, regularizer_start=100)[2][-1]
    pulled = run_toy(6, num_envs=16, agent="rma", history_every=100, regularizer_start=1, regularizer_ramp=0)[2][-1]
    assert (free["latent/regularizer_weight"], pulled["latent/regularizer_weight"]) == (0.0, pytest.approx(0.1))
    assert pulled["latent/distance"] < 0.8 * free["latent/distance"]


def test_the_estimator_learns_from_the_true_velocity_and_not_from_the_reward(run_toy):
    learner, datamodule, _ = run_toy(1, num_envs=16, agent="rma")
    minibatch = collected(learner, datamodule, "privileged")
    ppo_loss(learner, minibatch).backward()
    assert all(p.grad is None for p in learner.policy.estimator.parameters())
    assert all(p.grad is None for p in learner.policy.history_encoder.parameters())
    learner.loss(minibatch)[0].backward()
    assert all(p.grad is not None for p in learner.policy.estimator.parameters())


def collected(learner: RmaLearner, datamodule, mode: str) -> dict:
    """A fresh rollout that acted in `mode`, as flat samples."""
    learner.policy.mode = mode
    learner.zero_grad()
    batch = datamodule.collect()
    return learner.samples({name: value for name, value in batch.items() if name not in ("metrics", "mode")})


def ppo_loss(learner: RmaLearner, samples: dict) -> Tensor:
    """All terms of PPO alone, of which the coefficients do not matter here."""
    return torch.stack(PpoLearner.sample_losses(learner, samples)).mean()


@pytest.mark.parametrize("mode", ["privileged", "history"])
def test_no_gradient_of_ppo_reaches_the_history_encoder(run_toy, mode: str):
    learner, datamodule, _ = run_toy(1, num_envs=16, agent="rma")
    samples = collected(learner, datamodule, mode)
    ppo_loss(learner, samples).backward()
    trained = {
        name for name, module in learner.policy.named_children() if any(p.grad is not None for p in module.parameters())
    }
    assert trained == {"actor", "critic", "noise"} | ({"privileged_encoder"} if mode == "privileged" else set())


def test_the_regularizer_adds_its_weight_times_the_distance_of_the_latents(run_toy):
    learner, datamodule, _ = run_toy(1, num_envs=16, agent="rma", regularizer_start=0, regularizer_ramp=0)
    samples = collected(learner, datamodule, "history")
    with_it = learner.loss(samples)[0]
    learner.cfg.regularizer_weight = 0.0
    without = learner.loss(samples)[0]
    apart = learner.policy.privileged_latent(samples["obs"]) - samples["inferred"]["history_latent"]
    torch.testing.assert_close(with_it - without, 0.1 * apart.norm(dim=-1).mean(), rtol=1e-4, atol=1e-6)
    torch.autograd.backward(with_it)
    assert all(p.grad is None for p in learner.policy.history_encoder.parameters())


@pytest.mark.parametrize("mode", ["privileged", "history"])
def test_the_references_mixture_updates_on_nothing_that_was_inferred(run_toy, mode: str):
    learner, datamodule, _ = run_toy(1, num_envs=16, agent="rma", compat="reference")
    samples = collected(learner, datamodule, mode)
    samples["inferred"] = {name: torch.full_like(value, float("nan")) for name, value in samples["inferred"].items()}
    assert learner.replay(samples).mean.isfinite().all()


def test_adaptation_brings_the_history_latent_to_the_privileged_one(run_toy):
    learner, datamodule, _ = run_toy(1, num_envs=16, agent="rma")
    samples = collected(learner, datamodule, "history")
    privileged = parameters(learner.policy.privileged_encoder)
    distances = []
    for _ in range(6):
        total, count = learner._adapt_history(samples)["loss/history"]
        distances.append((total / count).item())
    assert count == learner.cfg.num_epochs * learner.cfg.num_minibatches
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.85 * distances[0]
    assert torch.equal(parameters(learner.policy.privileged_encoder), privileged)


def test_the_gradient_of_each_part_is_clipped_by_itself(run_toy):
    learner, datamodule, _ = run_toy(1, num_envs=16, agent="rma")
    samples = collected(learner, datamodule, "privileged")
    learner.descend(1e4 * learner.loss(samples)[0])
    groups = {group["name"]: group["params"] for group in learner.optimizers().param_groups}
    for name in ("policy", "estimator"):
        norm = torch.stack([p.grad.norm() for p in groups[name] if p.grad is not None]).norm().item()
        assert norm == pytest.approx(learner.cfg.max_grad_norm, rel=1e-3), name


def test_one_adam_has_a_learning_rate_for_each_part_and_only_ppos_follows_the_kl(run_toy):
    learner, _, reports = run_toy(4, num_envs=16, agent="rma", estimator_lr=2e-3, history_lr=3e-3)
    groups = {group["name"]: group for group in learner.optimizers().param_groups}
    assert list(groups) == ["policy", "estimator", "history"]
    assert groups["estimator"]["lr"].item() == pytest.approx(2e-3)
    assert groups["history"]["lr"].item() == pytest.approx(3e-3)
    assert groups["policy"]["lr"].item() == pytest.approx(reports[-1]["train/learning_rate"])
    grouped = [id(p) for group in groups.values() for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in learner.parameters())


def test_what_acted_and_how_well_it_inferred_is_reported_every_iteration(run_toy):
    _, _, reports = run_toy(4, num_envs=16, agent="rma", history_every=2)
    assert [report["latent/acted_on_history"] for report in reports] == [0.0, 1.0, 0.0, 1.0]
    assert ["loss/history" in report for report in reports] == [False, True, False, True]
    expected = {"estimator/rmse_x", "estimator/rmse_y", "latent/distance", "latent/cosine", "latent/regularizer_weight"}
    assert all(expected | {"loss/estimator"} <= set(report) for report in reports)
    assert all(-1.0 <= report["latent/cosine"] <= 1.0 for report in reports)


def test_the_reported_rmse_is_that_of_the_velocity_that_was_consumed(run_toy):
    learner, datamodule, _ = run_toy(1, num_envs=16, agent="rma")
    batch = datamodule.collect()
    velocity = batch["inferred"]["velocity"]
    truth = batch["obs"]["critic"][..., :2]
    by_hand = ((velocity - truth) ** 2).mean(dim=(0, 1)).sqrt()
    samples = {name: {key: v.flatten(0, 1) for key, v in batch[name].items()} for name in ("obs", "inferred")}
    metrics = learner._latent_metrics(samples | {"weight": torch.ones(len(samples["obs"]["critic"]))})
    torch.testing.assert_close(metrics["estimator/rmse_x"][0], by_hand[0])
    torch.testing.assert_close(metrics["estimator/rmse_y"][0], by_hand[1])
    assert torch.equal(velocity[0], learner.policy.estimate_velocity({g: v[0] for g, v in batch["obs"].items()}))


def test_hyperparameters_alone_rebuild_the_learner(run_toy):
    learner, datamodule, _ = run_toy(1, num_envs=16, agent="rma")
    twin = RmaLearner(**learner.hparams)
    twin.load_state_dict(learner.state_dict())
    obs = datamodule.env.reset()
    acted, again = learner.policy.act(obs, {}, deterministic=True), twin.policy.act(obs, {}, deterministic=True)
    assert torch.equal(acted["action"], again["action"])
