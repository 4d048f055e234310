"""The teacher stage: PPO."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from rlmpc.config.schema import PpoCfg
from rlmpc.contract import Contract
from rlmpc.learners.base import Metrics, OnPolicyLearner
from rlmpc.losses.ppo import adapt_lr, surrogate_loss, value_loss
from rlmpc.policies import make_policy
from rlmpc.rollout.gae import gae


class TeacherLearner(OnPolicyLearner):
    """Trains a policy with PPO and a learning rate that follows the KL divergence.

    Args:
        agent: fields of `agent_cfg` as a plain dict, so that a checkpoint can hold them.
        contract: what the policy and its environment agree upon, as `Contract.to_dict` gives it.
    """

    agent_cfg: type[PpoCfg] = PpoCfg
    loss_names: tuple[str, ...] = ("train/kl", "loss/surrogate", "loss/value", "train/entropy")
    """What the numbers of `loss` are called in the report."""

    cfg: PpoCfg

    def __init__(self, agent: dict[str, Any], contract: dict[str, Any]) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.cfg = self.agent_cfg(**agent)
        self.policy = make_policy(self.cfg, Contract.from_dict(contract))

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """One PPO iteration on a whole rollout, (T, N, ...) as `Collector.collect` returns it."""
        metrics = batch.pop("metrics")
        self.policy.mode = batch.pop("mode")
        samples = self.samples(batch)
        metrics = metrics | self.update(samples)
        self.update_normalizers(self.policy.normalizers, samples["obs"])
        self.publish(metrics)

    def samples(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A rollout (T, N, ...) with `advantage` (normalised) and `return`, shaped as the base class says."""
        cfg = self.cfg
        outcome = {name: batch[name] for name in ("value", "terminated", "truncated")}
        outcome |= {name: batch.pop(name) for name in ("reward", "terminal_value", "last_value")}
        advantage, batch["return"] = gae(**outcome, gamma=cfg.gamma, lam=cfg.lam)
        batch["advantage"] = self.normalize_over_ranks(advantage)
        return super().samples(batch)

    def update(self, samples: dict[str, Any]) -> Metrics:
        """All PPO steps on the flat samples (B, ...) of a rollout; what they report."""
        cfg = self.cfg
        optimizer = self.optimizers()
        assert not isinstance(optimizer, list)
        lr = optimizer.param_groups[0]["lr"]
        sums = torch.zeros(len(self.loss_names) + 1, device=self.device)
        for minibatch in self.minibatches(samples, cfg.num_epochs, cfg.num_minibatches):
            loss, numbers = self.loss(minibatch)
            lr.copy_(adapt_lr(lr, self.mean_over_ranks(numbers[0]), cfg.desired_kl, (cfg.min_lr, cfg.max_lr)))
            grad_norm = self.descend(loss)
            self.policy.noise.project()
            sums += torch.cat([numbers, grad_norm.view(1)])
        return self._train_metrics(sums, lr, samples)

    def replay(self, minibatch: dict[str, Any]) -> Normal:
        """Today's distribution of the actions of a flat minibatch (B, ...), from the inputs that they came from."""
        return self.policy.distribution(minibatch["obs"], minibatch["inferred"])

    def loss(self, minibatch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """PPO loss of a flat minibatch (B, ...).

        Returns:
            The loss, and without gradient the numbers of `loss_names`, first the KL to the policy that acted.
        """
        cfg = self.cfg
        distribution = self.replay(minibatch)
        log_prob = distribution.log_prob(minibatch["action"]).sum(dim=-1)
        entropy = distribution.entropy().sum(dim=-1).mean()
        surrogate = surrogate_loss(log_prob, minibatch["log_prob"], minibatch["advantage"], cfg.clip)
        value = value_loss(
            self.policy.value(minibatch["obs"]),
            minibatch["value"],
            minibatch["return"],
            cfg.clip if cfg.clip_value_loss else None,
        )
        acted = Normal(minibatch["mean"], minibatch["std"], validate_args=False)
        kl = kl_divergence(acted, distribution).sum(dim=-1).mean()
        loss = surrogate + cfg.value_coef * value - cfg.entropy_coef * entropy
        return loss, torch.stack([kl, surrogate, value, entropy]).detach()

    @torch.no_grad()
    def _train_metrics(self, sums: Tensor, lr: Tensor, samples: dict[str, Any]) -> Metrics:
        one = torch.ones((), device=self.device)
        num_updates = one * self.cfg.num_epochs * self.cfg.num_minibatches
        names = (*self.loss_names, "train/grad_norm")
        spread = (samples["return"] - samples["value"]).var() / samples["return"].var().clamp(min=1e-8)
        return {
            **{name: (total, num_updates) for name, total in zip(names, sums, strict=True)},
            "train/learning_rate": (lr.clone(), one),
            "train/noise_std": (self.policy.noise.log_std.exp().mean(), one),
            "train/explained_variance": (1.0 - spread, one),
        }
