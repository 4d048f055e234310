"""Samples of faulty environments: what is learned is what the others say."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from rlmpc.learners.base import HARMLESS, OnPolicyLearner, take_rows
from rlmpc.rollout.collector import KEPT
from rlmpc.rollout.datamodule import RolloutDataModule

FLAT = ("ppo", "rma", "student", "finetune")
LEARNERS = (*FLAT, "student with a memory", "finetune with a memory")


@pytest.fixture
def trained(run_toy, run_student, make_finetune, fit, toy_world):
    """Makes a learner that has seen an iteration, by its name in `LEARNERS`, and its datamodule."""

    def make(name: str, iterations: int = 1) -> tuple[OnPolicyLearner, Any, list[dict[str, float]]]:
        memory = "gru" if "memory" in name else "none"
        if name in ("ppo", "rma"):
            return run_toy(iterations, num_envs=16, agent=name)
        if name.startswith("student"):
            return run_student(
                iterations, "rma", memory=memory, loss="kl", predictions={"latent": 0.5, "velocity": 0.5}
            )
        _, learner = make_finetune(memory, critic_warmup=0)
        return learner, *fit(learner, toy_world(), iterations)

    return make


def left_out(batch: dict[str, Any], valid: Tensor) -> dict[str, Any]:
    """A copy of a rollout in which only the `valid` (T, N) samples count, the others as a collector leaves them."""

    def zeroed(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: zeroed(child) for name, child in value.items()}
        return value * valid.view(*valid.shape, *[1] * (value.dim() - 2)).to(value.dtype)

    kept = {"memory", "last_value", "metrics", "mode", *KEPT}
    rest = {name: value if name in kept else zeroed(value) for name, value in batch.items()}
    return rest | {"valid": valid, "truncated": batch["truncated"] | ~valid}


def collected(datamodule, share: float = 0.7) -> dict[str, Any]:
    """A fresh rollout of whose samples about this share is valid."""
    batch = datamodule.collect()
    return left_out(batch, torch.rand(batch["reward"].shape) < share)


def samples_of(learner: OnPolicyLearner, batch: dict[str, Any]) -> dict[str, Any]:
    """What the learner's losses are of."""
    batch = {name: value for name, value in batch.items() if name not in ("metrics", "mode")}
    batch.setdefault("weight", batch["valid"].to(batch["reward"].dtype))
    return learner.samples(batch)


def loss_and_gradient(learner: OnPolicyLearner, samples: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
    learner.zero_grad()
    loss, numbers = learner.loss(samples)
    loss.backward()
    return loss.detach(), numbers, torch.cat([p.grad.flatten() for p in learner.parameters() if p.grad is not None])


@pytest.mark.parametrize("mode", ["privileged", "history"])
@pytest.mark.parametrize("name", FLAT)
def test_losses_and_gradients_are_those_of_the_valid_samples_alone(trained, name: str, mode: str):
    learner, datamodule, _ = trained(name)
    if name == "rma":
        learner.policy.mode = mode
        learner.cfg.regularizer_start = learner.cfg.regularizer_ramp = 0
    samples = samples_of(learner, collected(datamodule))
    rows = samples["weight"].nonzero().flatten()
    assert 0 < len(rows) < len(samples["weight"])
    flat = {key: value for key, value in samples.items() if key != "memory"}
    alone = take_rows(flat, rows)
    for got, expected in zip(loss_and_gradient(learner, flat), loss_and_gradient(learner, alone), strict=True):
        assert got.isfinite().all()
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", LEARNERS[-2:])
def test_with_a_memory_what_is_left_out_has_no_influence(trained, name: str):
    learner, datamodule, _ = trained(name)
    samples = samples_of(learner, collected(datamodule))
    assert samples["weight"].dim() == 2
    before = loss_and_gradient(learner, samples)
    everything = loss_and_gradient(learner, samples | {"weight": torch.ones_like(samples["weight"])})
    gone = samples["weight"] == 0.0
    assert samples["ended"][gone].all()
    for key, value in samples.items():
        if isinstance(value, Tensor) and value.is_floating_point() and key not in ("weight", *HARMLESS):
            value[gone] += 1.0
    for values in samples["obs"].values():
        values[gone] += 1.0
    for got, expected in zip(loss_and_gradient(learner, samples), before, strict=True):
        assert got.isfinite().all()
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-7)
    assert not torch.allclose(before[2], everything[2])


@pytest.mark.parametrize("name", ["finetune with a memory"])
def test_with_a_memory_the_reported_numbers_are_means_over_the_valid_steps(trained, name: str):
    learner, datamodule, _ = trained(name)
    samples = samples_of(learner, collected(datamodule))
    by_hand = torch.stack(learner.sample_losses(samples))[:, samples["weight"] > 0.0].mean(dim=1)
    torch.testing.assert_close(learner.loss(samples)[1], by_hand.detach())


def test_the_probability_ratio_of_a_sample_that_is_left_out_vanishes_however_small_the_noise(trained):
    learner, datamodule, _ = trained("ppo")
    samples = samples_of(learner, collected(datamodule))
    gone = samples["weight"] == 0.0
    with torch.no_grad():
        learner.policy.noise.log_std.fill_(math.log(1e-10))
        samples["action"][gone] = learner.replay(samples).mean[gone]
        log_prob = learner.replay(samples).log_prob(samples["action"]).sum(dim=-1)[gone]
        kl = learner.sample_losses(samples)[0][gone]
    # With the 0 that a collector leaves there, the ratio would be 10 to the 19th.
    assert (log_prob > 40.0).all()
    assert ((log_prob - samples["log_prob"][gone]).exp() == 0.0).all()
    assert kl.isfinite().all()


def test_the_valid_advantages_have_mean_zero_and_deviation_one(trained):
    learner, datamodule, _ = trained("ppo")
    samples = samples_of(learner, collected(datamodule, share=0.4))
    advantage = samples["advantage"][samples["weight"] > 0.0]
    torch.testing.assert_close(advantage.mean(), torch.zeros(()), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(advantage.std(correction=0), torch.ones(()), atol=1e-5, rtol=0.0)


def test_what_was_inferred_is_judged_on_the_valid_samples(trained):
    learner, datamodule, _ = trained("rma")
    samples = samples_of(learner, collected(datamodule, share=0.4))
    alone = take_rows({name: v for name, v in samples.items() if name != "memory"}, samples["weight"].nonzero()[:, 0])
    got, expected = learner._latent_metrics(samples), learner._latent_metrics(alone)
    for name, (value, _) in got.items():
        torch.testing.assert_close(value, expected[name][0], rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize("name", LEARNERS)
def test_an_iteration_takes_the_valid_observations_into_the_normalizers(trained, name: str):
    learner, datamodule, _ = trained(name)
    batch = collected(datamodule)
    valid = batch["valid"].clone()
    seen = {group: values[valid].clone() for group, values in batch["obs"].items()}
    before = {
        group: (n.mean.clone(), n.var.clone(), n.count.clone()) for group, n in learner.policy.normalizers.items()
    }
    learner.training_step(batch, 0)
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

    def collect(self: RolloutDataModule) -> dict[str, Any]:
        batch = original(self)
        return left_out(batch, torch.rand(batch["reward"].shape) < share)

    monkeypatch.setattr(RolloutDataModule, "collect", collect)
    learner, _, reports = trained(name, iterations=3)
    assert len(reports) == 3
    assert all(math.isfinite(value) for report in reports for value in report.values())
    assert all(report["fault/skipped_updates"] == 0.0 for report in reports)
    assert parameters(learner).isfinite().all()
    assert all(buffer.isfinite().all() for buffer in learner.buffers())
