"""Samples of faulty environments: what is learned is what the others say."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from rlmpc.algorithms.student.learner import StudentSamples
from rlmpc.learners.base import OnPolicyLearner
from rlmpc.learners.minibatches import Samples, rows
from rlmpc.losses.ppo import surrogate_loss
from rlmpc.networks.tree import like_rows, tree_map
from rlmpc.rollout.datamodule import RolloutDataModule
from rlmpc.rollout.rollout import Rollout
from tests.algorithms.updates import ratio, step

pytestmark = pytest.mark.slow

FLAT = ("ppo", "rma", "student", "finetune")
PREDICTIONS = {"latent": 0.5, "velocity": 0.5}
LEARNERS = (*FLAT, "student with a memory", "finetune with a memory")


@pytest.fixture
def trained(run_toy, run_student, make_finetune, fit, toy_world):
    """Makes a learner that has seen an iteration, by its name in `LEARNERS`, and its datamodule."""

    def make(name: str, iterations: int = 1) -> tuple[OnPolicyLearner, Any, list[dict[str, float]]]:
        memory = "gru" if "memory" in name else "none"
        if name in ("ppo", "rma"):
            return run_toy(iterations, num_envs=16, agent=name, num_epochs=1)
        if name.startswith("student"):
            return run_student(iterations, "rma", memory=memory, loss="kl", predictions=PREDICTIONS)
        _, learner = make_finetune(memory, critic_warmup=0)
        return learner, *fit(learner, toy_world(), iterations)

    return make


def left_out(rollout: Rollout, valid: Tensor) -> Rollout:
    """A copy of a rollout in which only the `valid` (T, N) samples count, the others as a collector leaves them."""

    def zeroed(tree: Any) -> Any:
        return tree_map(lambda values: values * like_rows(valid, values).to(values.dtype), tree)

    return replace(
        rollout,
        obs=zeroed(rollout.obs),
        acted=zeroed(rollout.acted),
        reward=zeroed(rollout.reward),
        terminated=zeroed(rollout.terminated),
        truncated=rollout.truncated | ~valid,
        valid=valid,
    )


def collected(datamodule, share: float = 0.7) -> Rollout:
    """A fresh rollout of whose samples about this share is valid."""
    rollout = datamodule.collect()
    return left_out(rollout, torch.rand(rollout.reward.shape) < share)


def valid_alone(samples: Samples) -> Samples:
    """Single steps without those that are left out."""
    kept = samples.weight.nonzero().flatten()
    assert 0 < len(kept) < len(samples.weight)
    return rows(samples, kept)


@pytest.mark.parametrize("on_history", [False, True])
@pytest.mark.parametrize("name", FLAT)
def test_losses_and_gradients_are_those_of_the_valid_samples_alone(trained, name: str, on_history: bool):
    learner, datamodule, _ = trained(name)
    if name == "rma":
        learner.policy.acts_on_history = on_history
        learner.cfg.regularizer_start = learner.cfg.regularizer_ramp = 0
        learner.strength.fill_(learner.cfg.regularizer_weight)
    samples = learner.samples(collected(datamodule))
    loss, gradient, numbers = step(learner, samples)
    assert all(value.isfinite().all() for value in (loss, gradient))
    alone = step(learner, valid_alone(samples))
    torch.testing.assert_close((loss, gradient, losses(numbers)), (*alone[:2], losses(alone[2])), rtol=1e-4, atol=1e-6)


def losses(numbers: dict[str, Tensor]) -> list[Tensor]:
    """Those of what is reported that are means over samples."""
    return [value for name, value in numbers.items() if name.startswith("loss/") or name == "train/kl"]


def not_filled(samples: Samples) -> tuple[str, ...]:
    """Names of some tensors without a fill value."""
    return ("teacher_mean",) if isinstance(samples, StudentSamples) else ("value", "returns", "advantage")


@pytest.mark.parametrize("name", LEARNERS[-2:])
def test_with_a_memory_what_is_left_out_has_no_influence(trained, name: str):
    learner, datamodule, _ = trained(name)
    samples = learner.samples(collected(datamodule))
    assert samples.weight.dim() == 2
    loss, gradient, numbers = step(learner, samples)
    everything = step(learner, replace(samples, weight=torch.ones_like(samples.weight)))[1]
    gone = samples.weight == 0.0
    assert samples.restarts[gone].all()
    for values in (*samples.obs.values(), *(getattr(samples, name) for name in not_filled(samples))):
        values[gone] += 1.0
    again = step(learner, samples)
    assert all(value.isfinite().all() for value in again[:2])
    torch.testing.assert_close((loss, gradient, losses(numbers)), (*again[:2], losses(again[2])), rtol=1e-5, atol=1e-7)
    assert not torch.allclose(gradient, everything)


def test_with_a_memory_the_reported_numbers_are_means_over_the_valid_steps(trained):
    learner, datamodule, _ = trained("finetune with a memory")
    samples = learner.samples(collected(datamodule))
    valid = samples.weight > 0.0
    entropy = learner.distribution(samples).entropy().sum(dim=-1)[valid].mean()
    surrogate = surrogate_loss(ratio(learner, samples).log(), torch.zeros(()), samples.advantage, learner.cfg.clip)
    numbers = step(learner, samples)[2]
    torch.testing.assert_close(numbers["train/entropy"], entropy.detach())
    torch.testing.assert_close(numbers["loss/surrogate"], surrogate[valid].mean(), rtol=1e-4, atol=1e-6)


def test_the_probability_ratio_of_a_sample_that_is_left_out_vanishes_however_small_the_noise(trained):
    learner, datamodule, _ = trained("ppo")
    samples = learner.samples(collected(datamodule))
    gone = samples.weight == 0.0
    with torch.no_grad():
        learner.policy.noise.log_std.fill_(math.log(1e-10))
        samples.acted.action[gone] = learner.distribution(samples).mean[gone]
        log_prob = learner.distribution(samples).log_prob(samples.acted.action).sum(dim=-1)[gone]
    # With the 0 that a collector leaves there, the ratio would be 10 to the 19th.
    assert (log_prob > 40.0).all()
    assert (ratio(learner, samples)[gone] == 0.0).all()
    assert step(learner, valid_alone(samples))[2]["train/kl"].isfinite()


def test_the_valid_advantages_have_mean_zero_and_deviation_one(trained):
    learner, datamodule, _ = trained("ppo")
    samples = learner.samples(collected(datamodule, share=0.4))
    advantage = samples.advantage[samples.weight > 0.0]
    torch.testing.assert_close(advantage.mean(), torch.zeros(()), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(advantage.std(correction=0), torch.ones(()), atol=1e-5, rtol=0.0)


def test_what_was_inferred_is_judged_on_the_valid_samples(trained):
    learner, datamodule, _ = trained("rma")
    samples = learner.samples(collected(datamodule, share=0.4))
    got, expected = learner._latent_metrics(samples), learner._latent_metrics(valid_alone(samples))
    for name, (value, _) in got.items():
        torch.testing.assert_close(value, expected[name][0], rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize("name", LEARNERS)
def test_an_iteration_takes_the_valid_observations_into_the_normalizers(trained, name: str):
    learner, datamodule, _ = trained(name)
    rollout = collected(datamodule)
    valid = rollout.valid.clone()
    seen = {group: values[valid].clone() for group, values in rollout.obs.items()}
    before = {
        group: (n.mean.clone(), n.var.clone(), n.count.clone()) for group, n in learner.policy.normalizers.items()
    }
    learner.training_step(rollout, 0)
    for group, (mean, var, count) in before.items():
        normalizer, x = learner.policy.normalizers[group], seen[group].double()
        assert normalizer.count == count + valid.sum()
        merged = (mean * count + x.sum(dim=0)) / normalizer.count
        squares = ((var + mean**2) * count + (x**2).sum(dim=0)) / normalizer.count
        torch.testing.assert_close(normalizer.mean.double(), merged, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(normalizer.var.double(), squares - merged**2, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("share", [0.0, 0.6])
def test_a_run_with_faults_stays_finite_and_goes_on(trained, monkeypatch, parameters, name: str, share: float):
    original = RolloutDataModule.collect

    def collect(self: RolloutDataModule) -> Rollout:
        rollout = original(self)
        return left_out(rollout, torch.rand(rollout.reward.shape) < share)

    monkeypatch.setattr(RolloutDataModule, "collect", collect)
    learner, _, numbers = trained(name, iterations=3)
    assert len(numbers) == 3
    assert all(math.isfinite(value) for one in numbers for value in one.values())
    assert all(one["fault/skipped_updates"] == 0.0 for one in numbers)
    assert parameters(learner).isfinite().all()
    assert all(buffer.isfinite().all() for buffer in learner.buffers())
