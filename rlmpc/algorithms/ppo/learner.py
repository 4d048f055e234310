"""The teacher stage: PPO."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from rlmpc.algorithms.policies import make_policy
from rlmpc.algorithms.ppo.settings import PpoCfg
from rlmpc.contract.contract import Contract
from rlmpc.learners.base import OnPolicyLearner
from rlmpc.learners.metrics import Metrics, means_of_updates
from rlmpc.losses.gae import gae
from rlmpc.losses.ppo import adapt_lr, surrogate_loss, value_loss
from rlmpc.losses.weighting import explained_variance, weighted_mean


class PpoLearner(OnPolicyLearner):
    """Trains a policy with PPO and a learning rate that follows the KL divergence.

    Args:
        agent: fields of `agent_cfg` as a plain dict, so that a checkpoint can hold them.
        contract: what the policy and its environment agree upon, as `Contract.to_dict` gives it.
    """

    agent_cfg: type[PpoCfg] = PpoCfg

    cfg: PpoCfg
    coefs: Tensor
    """Those of `terms`, on the device."""

    def __init__(self, agent: dict[str, Any], contract: dict[str, Any]) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.cfg = self.agent_cfg(**agent)
        self.policy = make_policy(self.cfg, Contract.from_dict(contract))
        self.register_buffer("coefs", torch.tensor(list(self.terms.values())), persistent=False)

    @property
    def terms(self) -> dict[str, float]:
        """Names in the report of what `sample_losses` gives, and the coefficient of each in the loss."""
        cfg = self.cfg
        return {
            "train/kl": 0.0,
            "loss/surrogate": 1.0,
            "loss/value": cfg.value_coef,
            "train/entropy": -cfg.entropy_coef,
        }

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """One PPO iteration on a whole rollout, (T, N, ...) as `Collector.collect` returns it."""
        metrics = batch.pop("metrics")
        self.policy.mode = batch.pop("mode")
        samples = self.samples(batch)
        metrics = metrics | self.update(samples)
        self.update_normalizers(self.policy.normalizers, samples["obs"], samples["weight"])
        self.publish(metrics)

    def samples(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A rollout (T, N, ...) with `advantage` (normalised), `return` and `weight`, shaped as the base class says."""
        cfg = self.cfg
        outcome = {name: batch[name] for name in ("value", "terminated", "truncated")}
        outcome |= {name: batch.pop(name) for name in ("reward", "terminal_value", "last_value")}
        advantage, batch["return"] = gae(**outcome, gamma=cfg.gamma, lam=cfg.lam)
        batch["weight"] = batch.pop("valid").to(advantage.dtype)
        batch["advantage"] = self.normalize_over_ranks(advantage, batch["weight"])
        return super().samples(batch)

    def update(self, samples: dict[str, Any]) -> Metrics:
        """All PPO steps on the flat samples (B, ...) of a rollout; what they report."""
        cfg = self.cfg
        optimizer = self.optimizers()
        assert not isinstance(optimizer, list)
        lr = optimizer.param_groups[0]["lr"]
        reported = []
        for minibatch in self.minibatches(samples, cfg.num_epochs, cfg.num_minibatches):
            loss, numbers = self.loss(minibatch)
            lr.copy_(adapt_lr(lr, self.mean_over_ranks(numbers[0]), cfg.desired_kl, (cfg.min_lr, cfg.max_lr)))
            grad_norm = self.descend(loss)
            self.policy.noise.project()
            reported.append(torch.cat([numbers, grad_norm.view(1)]))
        return means_of_updates((*self.terms, "train/grad_norm"), reported) | self._state_metrics(lr, samples)

    def replay(self, minibatch: dict[str, Any]) -> Normal:
        """Today's distribution of the actions of a flat minibatch (B, ...), from the inputs that they came from."""
        return self.policy.distribution(minibatch["obs"], minibatch["inferred"])

    def loss(self, minibatch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """PPO loss of a minibatch, flat (B, ...) or, with a memory, in time (T, n, ...).

        Returns:
            The loss, and without gradient the mean of each of the `terms`, first the KL to the policy that acted.
        """
        means = weighted_mean(torch.stack(self.sample_losses(minibatch)), minibatch["weight"])
        return (self.coefs * means).sum(), means.detach()

    def sample_losses(self, minibatch: dict[str, Any]) -> list[Tensor]:
        """Each of the `terms` for every sample of a minibatch, (...,)."""
        distribution = self.replay(minibatch)
        log_prob = distribution.log_prob(minibatch["action"]).sum(dim=-1)
        entropy = distribution.entropy().sum(dim=-1)
        surrogate = surrogate_loss(log_prob, minibatch["log_prob"], minibatch["advantage"], self.cfg.clip)
        acted = Normal(minibatch["mean"], minibatch["std"], validate_args=False)
        kl = kl_divergence(acted, distribution).sum(dim=-1).detach()
        return [kl, surrogate, self.value_losses(minibatch), entropy]

    def value_losses(self, minibatch: dict[str, Any]) -> Tensor:
        """Loss of the value function for every sample of a minibatch, (...,)."""
        cfg = self.cfg
        value = self.policy.value(minibatch["obs"])
        return value_loss(value, minibatch["value"], minibatch["return"], cfg.clip if cfg.clip_value_loss else None)

    @torch.no_grad()
    def _state_metrics(self, lr: Tensor, samples: dict[str, Any]) -> Metrics:
        """Where the update has led, and how well the rollout's returns were foreseen."""
        one = torch.ones((), device=self.device)
        foreseen = explained_variance(samples["value"], samples["return"], samples["weight"])
        return {
            "train/learning_rate": (lr.clone(), one),
            "train/noise_std": (self.policy.noise.log_std.exp().mean(), one),
            "train/explained_variance": (foreseen, one),
        }
