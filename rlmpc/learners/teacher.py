"""The teacher stage: PPO."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from rlmpc.config.schema import PpoCfg
from rlmpc.contract import Contract
from rlmpc.learners.base import Metrics, OnPolicyLearner, flatten_time
from rlmpc.losses.ppo import adapt_lr, surrogate_loss, value_loss
from rlmpc.networks.actor_critic import ActorCritic
from rlmpc.networks.policy import GaussianPolicy
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

    policy: GaussianPolicy

    def __init__(self, agent: dict[str, Any], contract: dict[str, Any]) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.cfg = self.agent_cfg(**agent)
        self.policy = self.make_policy(Contract.from_dict(contract))

    def make_policy(self, contract: Contract) -> GaussianPolicy:
        """A new policy as the agent's config describes it."""
        return ActorCritic(contract.observations.dims(), contract.num_actions, **self.policy_settings())

    def policy_settings(self) -> dict[str, Any]:
        """Those settings of the agent that every policy takes."""
        cfg = self.cfg
        return {
            "actor_group": cfg.actor_group,
            "critic_group": cfg.critic_group,
            "actor_hidden": cfg.actor_hidden,
            "critic_hidden": cfg.critic_hidden,
            "activation": cfg.activation,
            "init_std": cfg.init_std,
            "min_std": cfg.min_std,
            "max_std": cfg.max_std,
            "normalize_obs": cfg.normalize_obs,
        }

    def parameter_groups(self) -> dict[str, tuple[Iterable[torch.nn.Parameter], float]]:
        """Name -> parameters and learning rate; the first group's rate follows the KL divergence."""
        return {"policy": (self.policy.parameters(), self.cfg.learning_rate)}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """One fused Adam whose learning rates are tensors on the device, where the KL rule changes them."""
        groups = [
            {"params": list(parameters), "name": name, "lr": torch.tensor(lr, device=self.device)}
            for name, (parameters, lr) in self.parameter_groups().items()
        ]
        return torch.optim.Adam(groups, fused=True)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """One PPO iteration on a whole rollout, (T, N, ...) as `Collector.collect` returns it."""
        metrics = batch.pop("metrics")
        self.policy.mode = batch.pop("mode")
        samples = self.samples(batch)
        metrics = metrics | self.update(samples)
        self.update_normalizers(self.policy.normalizers, samples["obs"])
        self.publish(metrics)

    def samples(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A rollout (T, N, ...) as flat samples (B, ...) with `advantage` (normalised) and `return`."""
        cfg = self.cfg
        outcome = {name: batch.pop(name) for name in ("reward", "terminated", "truncated", "terminal_value")}
        last_value = batch.pop("last_value")
        advantage, batch["return"] = gae(
            **outcome, value=batch["value"], last_value=last_value, gamma=cfg.gamma, lam=cfg.lam
        )
        batch["advantage"] = self.normalize_over_ranks(advantage)
        batch.pop("memory")
        return flatten_time(batch)

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

    def descend(self, loss: Tensor) -> Tensor:
        """One optimizer step on all parameters that `loss` reaches, with the gradient of each group clipped.

        Returns:
            Norm of the first group's gradient before clipping.
        """
        optimizer = self.optimizers()
        assert not isinstance(optimizer, list)
        optimizer.zero_grad()
        self.manual_backward(loss)
        max_norm = self.cfg.max_grad_norm
        norms = [torch.nn.utils.clip_grad_norm_(group["params"], max_norm) for group in optimizer.param_groups]
        optimizer.step()
        return norms[0]

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
