import pytest
import torch

from rlmpc.algorithms.ppo.learner import PpoLearner
from rlmpc.learners.minibatches import minibatches
from tests.algorithms.updates import ratio, step


def test_the_loader_collects_exactly_once_an_epoch_and_after_the_update(run_toy):
    _, datamodule, _ = run_toy(5)
    assert datamodule.num_collected == 5
    assert datamodule.updates_before == [0, 20, 40, 60, 80]


@pytest.mark.parametrize("trained", [0, 5])
def test_on_the_first_minibatch_the_importance_ratio_is_one_and_kl_zero(run_toy, trained: int):
    """Also after normalizers and parameters have moved."""
    learner, datamodule, _ = run_toy(trained + 1)
    assert learner.policy.normalizers["teacher"].count > 0
    samples = learner.samples(datamodule.collect())
    assert (ratio(learner, next(minibatches(samples, 1, 4))) - 1.0).abs().max() < 1e-6
    assert step(learner, samples)[2]["train/kl"].abs() < 1e-9


def test_normalizers_have_seen_every_sample_once(run_toy):
    learner, _, _ = run_toy(3, num_envs=32)
    for normalizer in learner.policy.normalizers.values():
        assert normalizer.count == 3 * 32 * 24


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


def test_hyperparameters_alone_rebuild_the_learner(run_toy):
    learner, _, _ = run_toy(1)
    twin = PpoLearner(**learner.hparams)
    twin.load_state_dict(learner.state_dict())
    obs = {"teacher": torch.randn(3, 48), "critic": torch.randn(3, 48)}
    assert torch.equal(twin.policy.value(obs), learner.policy.value(obs))
