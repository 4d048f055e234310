import pytest
import torch
from torch import Tensor

from rlmpc.algorithms.ppo.learner import PpoSamples
from rlmpc.algorithms.rma.learner import RmaLearner
from rlmpc.networks.tree import tree_map
from tests.algorithms.updates import step

pytestmark = pytest.mark.slow


def parameters(module: torch.nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in module.parameters()]).clone()


def test_on_the_first_minibatch_of_every_kind_of_iteration_the_ratio_is_one_and_kl_zero(run_toy, first_minibatches):
    run_toy(7, num_envs=16, agent="rma", num_epochs=1, history_every=3, regularizer_start=2, regularizer_ramp=2)
    assert [on_history for on_history, _, _ in first_minibatches] == [False, False, True] * 2 + [False]
    for _, ratio, kl in first_minibatches:
        assert (ratio - 1.0).abs().max() < 1e-6
        assert kl.abs() < 1e-9


def test_with_the_references_mixed_inputs_the_ratio_is_not_one(run_toy, first_minibatches):
    run_toy(3, num_envs=16, agent="rma", history_every=3, compat="reference")
    for _, ratio, kl in first_minibatches:
        assert (ratio - 1.0).abs().max() > 1e-4
        assert kl > 1e-9


def test_an_iteration_on_the_privileged_latent_leaves_the_history_encoder_alone(run_toy):
    before = run_toy(1, num_envs=16, agent="rma", num_epochs=1, history_every=5)[0]
    after = run_toy(3, num_envs=16, agent="rma", num_epochs=1, history_every=5)[0]
    for name in ("actor", "critic", "privileged_encoder", "estimator"):
        assert not torch.equal(parameters(getattr(before.policy, name)), parameters(getattr(after.policy, name))), name
    assert torch.equal(parameters(before.policy.history_encoder), parameters(after.policy.history_encoder))


def test_an_iteration_on_the_history_latent_trains_the_history_encoder_and_not_the_privileged_one(run_toy):
    settings = {"num_epochs": 1, "history_every": 3, "regularizer_start": 100}
    before = run_toy(2, num_envs=16, agent="rma", **settings)[0]
    after = run_toy(3, num_envs=16, agent="rma", **settings)[0]
    for name in ("actor", "critic", "history_encoder", "estimator"):
        assert not torch.equal(parameters(getattr(before.policy, name)), parameters(getattr(after.policy, name))), name
    assert torch.equal(parameters(before.policy.privileged_encoder), parameters(after.policy.privileged_encoder))


def test_the_regularizer_pulls_the_privileged_latent_to_the_history_latent(run_toy):
    free = run_toy(6, num_envs=16, agent="rma", history_every=100, regularizer_start=100)[2][-1]
    pulled = run_toy(6, num_envs=16, agent="rma", history_every=100, regularizer_start=1, regularizer_ramp=0)[2][-1]
    assert (free["latent/regularizer_weight"], pulled["latent/regularizer_weight"]) == (0.0, pytest.approx(0.1))
    assert pulled["latent/distance"] < 0.8 * free["latent/distance"]


def collected(learner: RmaLearner, datamodule, on_history: bool) -> PpoSamples:
    """A fresh rollout that acted on one of the latents, as samples."""
    learner.policy.acts_on_history = on_history
    learner.zero_grad()
    return learner.samples(datamodule.collect())


def reached_by_ppo(learner: RmaLearner, samples: PpoSamples, monkeypatch) -> set[str]:
    """Parts of the policy with a gradient of PPO's own losses."""
    with monkeypatch.context() as patch:
        patch.setattr(learner, "losses_beside", lambda minibatch: {})
        step(learner, samples)
    parts = learner.policy.named_children()
    return {name for name, part in parts if any(p.grad is not None for p in part.parameters())}


def test_the_estimator_learns_from_the_true_velocity_and_not_from_the_reward(run_toy, monkeypatch):
    learner, datamodule, _ = run_toy(1, num_envs=16, agent="rma")
    samples = collected(learner, datamodule, on_history=False)
    assert "estimator" not in reached_by_ppo(learner, samples, monkeypatch)
    step(learner, samples)
    assert all(p.grad is not None for p in learner.policy.estimator.parameters())


@pytest.mark.parametrize("on_history", [False, True])
def test_no_gradient_of_ppo_reaches_the_history_encoder(run_toy, monkeypatch, on_history: bool):
    learner, datamodule, _ = run_toy(1, num_envs=16, agent="rma")
    reached = reached_by_ppo(learner, collected(learner, datamodule, on_history), monkeypatch)
    assert reached == {"actor", "critic", "noise"} | (set() if on_history else {"privileged_encoder"})


def test_the_regularizer_adds_its_weight_times_the_distance_of_the_latents(run_toy):
    learner, datamodule, _ = run_toy(1, num_envs=16, agent="rma", regularizer_start=0, regularizer_ramp=0)
    samples = collected(learner, datamodule, on_history=True)
    with_it, _, numbers = step(learner, samples)
    assert all(p.grad is None for p in learner.policy.history_encoder.parameters())
    learner.cfg.regularizer_weight = 0.0
    without = step(learner, samples)[0]
    apart = learner.policy.privileged_latent(samples.obs) - samples.acted.inferred["history_latent"]
    torch.testing.assert_close(with_it - without, 0.1 * apart.norm(dim=-1).mean(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(numbers["loss/regularizer"], with_it - without, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("on_history", [False, True])
def test_the_references_mixture_updates_on_nothing_that_was_inferred(run_toy, on_history: bool):
    learner, datamodule, _ = run_toy(1, num_envs=16, agent="rma", compat="reference")
    samples = collected(learner, datamodule, on_history)
    samples.acted.inferred = tree_map(lambda values: torch.full_like(values, torch.nan), samples.acted.inferred)
    assert learner.distribution(samples).mean.isfinite().all()


def test_adaptation_brings_the_history_latent_to_the_privileged_one(run_toy):
    learner, datamodule, _ = run_toy(1, num_envs=16, agent="rma")
    samples = collected(learner, datamodule, on_history=True)
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
    samples = collected(learner, datamodule, on_history=False)
    loss = learner.losses_beside(samples)["loss/estimator"] + learner.policy.value(samples.obs).sum()
    learner.descend(1e4 * loss)
    groups = {group["name"]: group["params"] for group in learner.optimizers().param_groups}
    for name in ("policy", "estimator"):
        norm = torch.stack([p.grad.norm() for p in groups[name] if p.grad is not None]).norm().item()
        assert norm == pytest.approx(learner.cfg.max_grad_norm, rel=1e-3), name


def test_one_adam_has_a_learning_rate_for_each_part_and_only_ppos_follows_the_kl(run_toy):
    learner, _, numbers = run_toy(4, num_envs=16, agent="rma", num_epochs=1, estimator_lr=2e-3, history_lr=3e-3)
    groups = {group["name"]: group for group in learner.optimizers().param_groups}
    assert list(groups) == ["policy", "estimator", "history"]
    assert groups["estimator"]["lr"].item() == pytest.approx(2e-3)
    assert groups["history"]["lr"].item() == pytest.approx(3e-3)
    assert groups["policy"]["lr"].item() == pytest.approx(numbers[-1]["train/learning_rate"])
    grouped = [id(p) for group in groups.values() for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in learner.parameters())


def test_what_acted_and_how_well_it_inferred_is_reported_every_iteration(run_toy):
    _, _, numbers = run_toy(4, num_envs=16, agent="rma", num_epochs=1, history_every=2)
    assert [one["latent/acted_on_history"] for one in numbers] == [0.0, 1.0, 0.0, 1.0]
    assert ["loss/history" in one for one in numbers] == [False, True, False, True]
    expected = {"estimator/rmse_x", "estimator/rmse_y", "latent/distance", "latent/cosine", "latent/regularizer_weight"}
    assert all(expected | {"loss/estimator"} <= set(one) for one in numbers)
    assert all(-1.0 <= one["latent/cosine"] <= 1.0 for one in numbers)


def test_the_reported_rmse_is_that_of_the_velocity_that_was_consumed(run_toy):
    learner, datamodule, _ = run_toy(1, num_envs=16, agent="rma")
    rollout = datamodule.collect()
    velocity = rollout.acted.inferred["velocity"].clone()
    by_hand = ((velocity - rollout.obs["critic"][..., :2]) ** 2).mean(dim=(0, 1)).sqrt()
    now = learner.policy.estimate_velocity({group: values[0] for group, values in rollout.obs.items()})
    assert torch.equal(velocity[0], now)
    learner.training_step(rollout, 0)
    rmse = [learner.numbers[f"estimator/rmse_{axis}"] for axis in "xy"]
    assert rmse == pytest.approx(by_hand.tolist())


def test_hyperparameters_alone_rebuild_the_learner(run_toy):
    learner, datamodule, _ = run_toy(1, num_envs=16, agent="rma")
    twin = RmaLearner(**learner.hparams)
    twin.load_state_dict(learner.state_dict())
    obs = datamodule.env.reset()
    acted, again = (policy.act(obs, {}, deterministic=True).action for policy in (learner.policy, twin.policy))
    assert torch.equal(acted, again)
