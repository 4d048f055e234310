"""The teacher stage: PPO on privileged observations."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.distributions import kl_divergence

from rlmpc.config.schema import AgentCfg
from rlmpc.learners.base import OnPolicyLearner, flatten_time
from rlmpc.losses.ppo import adapt_lr, surrogate_loss, value_loss
from rlmpc.networks.actor_critic import ActorCritic


class TeacherLearner(OnPolicyLearner):
    """Trains an `ActorCritic` with PPO and a learning rate that follows the KL divergence.

    Args:
        agent: fields of `AgentCfg` as a plain dict, so that a checkpoint can hold them.
        obs_dims: width of every observation group.
        num_actions: A.
    """

    policy: ActorCritic

    def __init__(self, agent: dict[str, Any], obs_dims: dict[str, int], num_actions: int) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.cfg = AgentCfg(**agent)
        cfg = self.cfg
        self.policy = ActorCritic(
            obs_dims,
            num_actions,
            actor_group=cfg.actor_group,
            critic_group=cfg.critic_group,
            actor_hidden=cfg.actor_hidden,
            critic_hidden=cfg.critic_hidden,
            activation=cfg.activation,
            init_std=cfg.init_std,
            min_std=cfg.min_std,
            max_std=cfg.max_std,
            normalize_obs=cfg.normalize_obs,
        )

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """One fused Adam whose learning rate is a tensor on the device, changed there by the KL rule."""
        lr = torch.tensor(self.cfg.learning_rate, device=self.device)
        groups = [{"params": list(self.policy.parameters()), "name": "policy", "lr": lr}]
        return torch.optim.Adam(groups, fused=True)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """One PPO iteration on a whole rollout, (T, N, ...) as `Collector.collect` returns it."""
        cfg, policy = self.cfg, self.policy
        metrics = batch.pop("metrics")
        samples = flatten_time(batch)
        samples["advantage"] = self.normalize_over_ranks(samples["advantage"])
        optimizer = self.optimizers()
        assert not isinstance(optimizer, list)
        lr = optimizer.param_groups[0]["lr"]
        sums = torch.zeros(5, device=self.device)
        for minibatch in self.minibatches(samples, cfg.num_epochs, cfg.num_minibatches):
            loss, numbers = self.loss(minibatch)
            lr.copy_(adapt_lr(lr, self.mean_over_ranks(numbers[0]), cfg.desired_kl, (cfg.min_lr, cfg.max_lr)))
            optimizer.zero_grad()
            self.manual_backward(loss)
            grad_norm = torch.nn.utils.clip_grad_norm_(policy.parameters(), cfg.max_grad_norm)
            optimizer.step()
            policy.noise.project()
            sums += torch.cat([numbers, grad_norm.view(1)])
        self.update_normalizers(policy.normalizers, batch["obs"])
        self.publish(metrics | self._train_metrics(sums, lr, batch))

    def loss(self, minibatch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """PPO loss of a flat minibatch (B, ...).

        Returns:
            The loss, and [KL to the policy that acted, surrogate loss, value loss, entropy] without gradient.
        """
        cfg = self.cfg
        distribution = self.policy.distribution(minibatch["obs"])
        log_prob = distribution.log_prob(minibatch["action"]).sum(dim=-1)
        entropy = distribution.entropy().sum(dim=-1).mean()
        surrogate = surrogate_loss(log_prob, minibatch["log_prob"], minibatch["advantage"], cfg.clip)
        value = value_loss(
            self.policy.value(minibatch["obs"]),
            minibatch["value"],
            minibatch["return"],
            cfg.clip if cfg.clip_value_loss else None,
        )
        acted = torch.distributions.Normal(minibatch["mean"], minibatch["std"], validate_args=False)
        kl = kl_divergence(acted, distribution).sum(dim=-1).mean()
        loss = surrogate + cfg.value_coef * value - cfg.entropy_coef * entropy
        return loss, torch.stack([kl, surrogate, value, entropy]).detach()

    @torch.no_grad()
    def _train_metrics(self, sums: Tensor, lr: Tensor, batch: dict[str, Any]) -> dict[str, tuple[Tensor, Tensor]]:
        one = torch.ones((), device=self.device)
        num_updates = one * self.cfg.num_epochs * self.cfg.num_minibatches
        names = ("train/kl", "loss/surrogate", "loss/value", "train/entropy", "train/grad_norm")
        spread = (batch["return"] - batch["value"]).var() / batch["return"].var().clamp(min=1e-8)
        return {
            **{name: (total, num_updates) for name, total in zip(names, sums, strict=True)},
            "train/learning_rate": (lr.clone(), one),
            "train/noise_std": (self.policy.noise.log_std.exp().mean(), one),
            "train/explained_variance": (1.0 - spread, one),
        }
