from copy import deepcopy
from importlib.util import find_spec

import pytest
import torch

from rlmpc.algorithms.ppo.learner import PpoLearner
from rlmpc.learners.minibatches import minibatches, rows
from tests.algorithms.updates import ratio, step
from tests.losses.losses_by_torch import losses_by_torch


def test_the_loader_collects_exactly_once_an_epoch_and_after_the_update(run_toy):
    _, datamodule, _ = run_toy(5, num_envs=16)
    assert datamodule.num_collected == 5
    assert datamodule.updates_before == [0, 20, 40, 60, 80]


@pytest.mark.parametrize("trained", [0, 5])
def test_on_the_first_minibatch_the_importance_ratio_is_one_and_kl_zero(run_toy, trained: int):
    """Also after normalizers and parameters have moved."""
    learner, datamodule, _ = run_toy(trained + 1, num_envs=16)
    assert learner.policy.normalizers["teacher"].count > 0
    samples = learner.samples(datamodule.collect())
    first = rows(samples, next(minibatches(samples, 1, 4)))
    assert (ratio(learner, first) - 1.0).abs().max() < 1e-6
    assert step(learner, samples)[2]["train/kl"].abs() < 1e-9


def test_normalizers_have_seen_every_sample_once(run_toy):
    learner, _, _ = run_toy(3, num_envs=32)
    for normalizer in learner.policy.normalizers.values():
        assert normalizer.count == 3 * 32 * 24


def test_groups_that_are_one_tensor_teach_the_normalizers_as_any_others(run_toy):
    learner, datamodule, _ = run_toy(2, num_envs=16)
    policy, rollout = learner.policy, datamodule.collect()
    obs = {"teacher": rollout.obs["teacher"], "critic": rollout.obs["teacher"]}
    policy.normalizers["critic"].load_state_dict(policy.normalizers["teacher"].state_dict())
    before = deepcopy(policy.normalizers)
    policy.find_equal_groups(obs)
    assert policy.first_equal == {"teacher": "teacher", "critic": "teacher"}
    learner.update_normalizers(obs, rollout.valid)
    policy.find_equal_groups(rollout.obs)
    assert policy.first_equal["critic"] == "critic"
    together, policy.normalizers = policy.normalizers, before
    learner.update_normalizers(obs, rollout.valid)
    for name, values in policy.normalizers.state_dict().items():
        assert torch.equal(values, together.state_dict()[name])


def test_the_numbers_have_stable_names_and_leaves_out_what_was_not_observed(run_toy):
    _, _, numbers = run_toy(8, num_envs=1)
    expected = {"episode/return", "episode/length", "reward/track_target", "termination/time_out", "curriculum/level"}
    expected |= {"train/kl", "train/learning_rate", "train/noise_std", "loss/surrogate", "loss/value"}
    assert expected <= set().union(*numbers)
    ended = ["episode/length" in one for one in numbers]
    assert any(ended)
    assert not all(ended)
    assert all(value == value for one in numbers for value in one.values())


def test_a_ceiling_on_the_noise_holds_against_the_entropy_bonus(run_toy):
    learner, _, _ = run_toy(5, entropy_coef=1.0, max_std=1.1)
    assert learner.policy.noise.log_std.exp().max() <= 1.1 + 1e-6


ANNEALED = {"entropy_coef": 0.01, "final_entropy_coef": 0.002, "max_std": 1.2, "final_max_std": 0.3, "init_std": 1.0}


def exploration(learner: PpoLearner, iteration: int, monkeypatch) -> tuple[float, float]:
    """Weight of the entropy and bound of the noise that a learner sets in an iteration."""
    monkeypatch.setattr(PpoLearner, "current_epoch", iteration)
    learner._anneal()
    return learner.entropy_coef.item(), learner.policy.noise.log_max.exp().item()


@pytest.mark.parametrize(
    ("iteration", "entropy_coef", "max_std"),
    [(0, 0.01, 1.2), (10, 0.01, 1.2), (15, 0.006, 0.6), (20, 0.002, 0.3), (1000, 0.002, 0.3)],
)
def test_exploration_is_a_function_of_the_iteration_alone(run_toy, monkeypatch, iteration, entropy_coef, max_std):
    """Half way, the bound of the noise is the geometric mean; a resumed learner comes from any other iteration."""
    learner, _, _ = run_toy(0, num_envs=4, anneal_start=10, anneal_iterations=10, **ANNEALED)
    expected = (pytest.approx(entropy_coef), pytest.approx(max_std))
    assert exploration(learner, iteration, monkeypatch) == expected
    exploration(learner, 999 - iteration, monkeypatch)
    assert exploration(learner, iteration, monkeypatch) == expected


def test_without_final_numbers_exploration_stays(run_toy, monkeypatch):
    learner, _, _ = run_toy(0, num_envs=4, anneal_iterations=10, entropy_coef=0.01, max_std=1.2)
    assert exploration(learner, 500, monkeypatch) == (pytest.approx(0.01), pytest.approx(1.2))


def test_noise_is_brought_below_its_bound_as_it_goes_down(run_toy):
    learner, _, numbers = run_toy(4, num_envs=16, anneal_start=1, anneal_iterations=2, **ANNEALED)
    assert numbers[0]["train/noise_std"] > 0.7
    assert learner.policy.noise.log_std.exp().max() <= 0.3 + 1e-6
    assert "entropy_coef" not in learner.state_dict()


def test_hyperparameters_alone_rebuild_the_learner(run_toy):
    learner, _, _ = run_toy(1)
    twin = PpoLearner(**learner.hparams)
    twin.load_state_dict(learner.state_dict())
    obs = {"teacher": torch.randn(3, 48), "critic": torch.randn(3, 48)}
    assert torch.equal(twin.policy.value(obs), learner.policy.value(obs))


@pytest.mark.parametrize(("clip", "actors", "critics"), [("together", 0.6, 0.8), ("apart", 1.0, 1.0)])
def test_gradients_of_actor_and_critic_are_clipped_together_or_apart(run_toy, clip: str, actors: float, critics: float):
    """A gradient of 3 in the actor and of 4 in the critic, whose norm is 5, clipped to 1."""
    learner, _, _ = run_toy(1, num_envs=16, clip_gradients=clip, max_grad_norm=1.0)
    actor, critic = learner.policy.actor[0].weight, learner.policy.critic[0].weight
    assert learner.descend(3.0 * actor[0, 0] + 4.0 * critic[1, 1]).item() == pytest.approx(5.0)
    assert (actor.grad.norm().item(), critic.grad.norm().item()) == (pytest.approx(actors), pytest.approx(critics))


def test_a_gradient_within_the_bound_is_not_clipped_apart(run_toy):
    learner, _, _ = run_toy(1, num_envs=16, clip_gradients="apart", max_grad_norm=10.0)
    actor, critic = learner.policy.actor[0].weight, learner.policy.critic[0].weight
    learner.descend(3.0 * actor[0, 0] + 40.0 * critic[1, 1])
    assert (actor.grad.norm().item(), critic.grad.norm().item()) == (pytest.approx(3.0), pytest.approx(10.0))


def test_what_has_its_own_learning_rate_is_clipped_apart_from_actor_and_critic(run_toy):
    learner, _, _ = run_toy(1, num_envs=16, agent="rma", clip_gradients="apart", max_grad_norm=1.0)
    policy = learner.policy
    parts = [next(part.parameters()) for part in (policy.actor, policy.critic, policy.estimator)]
    learner.descend(sum(size * part.flatten()[0] for size, part in zip((3.0, 4.0, 5.0), parts, strict=True)))
    assert [part.grad.norm().item() for part in parts] == pytest.approx([1.0] * 3)


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton comes with CUDA builds of torch")
@pytest.mark.parametrize("clip_value_loss", [True, False])
def test_kernels_are_given_what_the_losses_are_made_of(run_toy, monkeypatch, clip_value_loss: bool):
    learner, datamodule, _ = run_toy(1, num_envs=16, clip_value_loss=clip_value_loss)
    samples = learner.samples(datamodule.collect())
    torch.nn.init.normal_(learner.policy.noise.log_std)
    loss, gradient, reported = step(learner, samples)
    monkeypatch.setattr("rlmpc.losses.fused.ppo_losses", losses_by_torch)
    monkeypatch.setattr(PpoLearner, "_is_fused", True)
    again = step(learner, samples)
    assert torch.equal(loss, again[0])
    torch.testing.assert_close(gradient, again[1])
    assert reported == again[2]
