"""Proximal policy optimization (Schulman et al., "Proximal policy optimization algorithms", 2017)."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from rlmpc.algorithms.ppo.settings import PpoCfg
from rlmpc.algorithms.table import ALGORITHMS
from rlmpc.config.installed import compiles_kernels
from rlmpc.contract.contract import Contract
from rlmpc.learners.base import GRAD_NORM, OnPolicyLearner
from rlmpc.learners.minibatches import Samples, single_steps, start_of
from rlmpc.learners.parallel import parallel
from rlmpc.learners.ranks import mean_over_ranks, normalize_over_ranks
from rlmpc.learners.schedules import adapt_lr, ramp
from rlmpc.losses.gae import gae
from rlmpc.losses.ppo import surrogate_loss, value_loss
from rlmpc.losses.weighting import FILL_LOG_PROB, FILL_STD, explained_variance, filled, weighted_mean
from rlmpc.networks.policy import Acted
from rlmpc.rollout.rollout import Metrics, Rollout


@dataclass
class PpoSamples(Samples):
    """What PPO learns from."""

    acted: Acted
    value: Tensor
    """Value of the observation by the critic at the time of the rollout, (...,)."""
    returns: Tensor
    """Estimated return (...,), the critic's target."""
    advantage: Tensor
    """(...,), normalised to mean 0 and standard deviation 1 over all ranks."""


class PpoLearner(OnPolicyLearner):
    """Trains the policy of an algorithm with PPO and a learning rate that follows the KL divergence.

    Args:
        agent: the algorithm's settings as a plain dict.
        contract: what the policy and its environment agree upon, as `Contract.to_dict` gives it.
    """

    cfg: PpoCfg

    entropy_coef: Tensor
    """Weight of the entropy in this iteration, a scalar."""

    def __init__(self, agent: dict[str, Any], contract: dict[str, Any]) -> None:
        super().__init__(agent, contract)
        algorithm = ALGORITHMS[agent["algorithm"]]
        settings = algorithm.settings(**agent)
        assert isinstance(settings, PpoCfg)
        self.cfg = settings
        self.policy = algorithm.policy()(settings, Contract.from_dict(contract))
        self.register_buffer("entropy_coef", torch.tensor(settings.entropy_coef), persistent=False)

    @property
    def trains_actor(self) -> bool:
        """Whether the actor learns in this iteration; otherwise only the critic does."""
        return True

    def clipped_parts(self, parameters: list[torch.nn.Parameter]) -> list[list[torch.nn.Parameter]]:
        """Return a parameter group as it is, or the critic's parameters in it apart from the others if so set."""
        assert self.policy.critic is not None
        if self.cfg.clip_gradients == "together":
            return [parameters]
        critic = {id(parameter) for parameter in self.policy.critic.parameters()}
        parts = ([p for p in parameters if (id(p) in critic) == is_critic] for is_critic in (False, True))
        return [part for part in parts if part]

    def training_step(self, rollout: Rollout, batch_idx: int) -> None:
        """Run one iteration."""
        self._anneal()
        placed = self.recorder.place("rollout", replace(rollout, metrics={}))
        samples = self.recorder.place("samples", self.replay("samples", lambda: self.samples(placed)))
        metrics = rollout.metrics | self.update(samples)
        self.replay("observe", lambda: self.observe(placed))
        self.publish(metrics)

    def _anneal(self) -> None:
        """Set how much is explored in this iteration: the weight of the entropy and the bound of the noise."""
        entropy_coef, log_max = exploration(self.cfg, self.current_epoch)
        self.entropy_coef.fill_(entropy_coef)
        self.policy.noise.log_max.fill_(log_max)

    def observe(self, rollout: Rollout) -> None:
        """Take the observations into the normalizers."""
        self.update_normalizers(rollout.obs, rollout.valid)

    def samples(self, rollout: Rollout) -> PpoSamples:
        """Turn a rollout into samples: single steps, or sequences for a policy with a memory."""
        value, terminal_value, last_value = rollout.value, rollout.terminal_value, rollout.last_value
        assert value is not None and terminal_value is not None and last_value is not None
        terminated, truncated = rollout.terminated, rollout.truncated
        ends = (last_value, terminal_value, terminated, truncated)
        advantage, returns = gae(rollout.reward, value, *ends, self.cfg.gamma, self.cfg.lam)
        weight = rollout.valid.to(advantage.dtype)
        acted = replace(
            rollout.acted,
            log_prob=filled(rollout.acted.log_prob, weight, FILL_LOG_PROB),
            std=filled(rollout.acted.std, weight, FILL_STD),
        )
        advantage = normalize_over_ranks(advantage, weight)
        memory = start_of(rollout.memory)
        restarts = terminated | truncated
        obs = self.policy.prepared(rollout.obs, self.places)
        return single_steps(PpoSamples(obs, weight, restarts, memory, acted, value, returns, advantage))

    def update(self, samples: PpoSamples) -> Metrics:
        """Take all optimizer steps on the samples of a rollout, from `Recorder.place`, and return their metrics."""
        reported = self.take_steps(self.step, samples, self.variant)
        return reported | self.replay("state_metrics", lambda: self._state_metrics(samples))

    @property
    def variant(self) -> Hashable:
        """What `step` does otherwise in this iteration than in others, but for the values of tensors."""
        return self.trains_actor

    def step(self, minibatch: PpoSamples) -> dict[str, Tensor]:
        """Adapt the learning rate, take one optimizer step and return what to report."""
        cfg, lr = self.cfg, self.optimizer.param_groups[0]["lr"]
        losses = self._fused_losses(minibatch) if self._is_fused else self._losses(minibatch)
        kl, surrogate, critic_loss, entropy = weighted_mean(losses, minibatch.weight).unbind()
        beside = self.losses_beside(minibatch)
        loss = surrogate + cfg.value_coef * critic_loss - self.entropy_coef * entropy
        loss = sum(beside.values(), loss)

        # Not beside the gradients: ranks must agree on the order of their collectives.
        kl_of_all = mean_over_ranks(kl.detach())
        with parallel(self.device) as wait:
            lr.copy_(adapt_lr(lr, kl_of_all, cfg.desired_kl, (cfg.min_lr, cfg.max_lr)))
        grad_norm = self.descend(loss, wait)
        self.policy.noise.project()
        return {
            "train/kl": kl,
            "loss/surrogate": surrogate,
            "loss/value": critic_loss,
            "train/entropy": entropy,
            **beside,
            GRAD_NORM: grad_norm,
        }

    @property
    def _is_fused(self) -> bool:
        """Whether the losses are one kernel, as `cfg.fused` says."""
        return self.cfg.fused and self.trains_actor and self.device.type == "cuda" and compiles_kernels()

    def _losses(self, minibatch: PpoSamples) -> Tensor:
        """Return KL divergence, surrogate loss, value loss and entropy, (4, ...)."""
        with parallel(self.device) as wait:
            value = self.policy.value(minibatch.obs)
            critic_loss = value_loss(value, minibatch.value, minibatch.returns, self.cfg.clip_value)
        kl, surrogate, entropy = self._actor_losses(minibatch) if self.trains_actor else [torch.zeros_like(value)] * 3
        wait()
        return torch.stack([kl, surrogate, critic_loss, entropy])

    def _fused_losses(self, minibatch: PpoSamples) -> Tensor:
        """Return what `_losses` does."""
        # Here, because it is compiled at run time.
        from rlmpc.losses.fused import ppo_losses

        with parallel(self.device) as wait:
            value = self.policy.value(minibatch.obs)
        today = self.distribution(minibatch)
        wait()
        acted, cfg = minibatch.acted, self.cfg
        then = acted.action, acted.mean, acted.std, acted.log_prob
        gains = minibatch.advantage, minibatch.value, minibatch.returns
        return ppo_losses(today.mean, today.stddev, value, *then, *gains, cfg.clip, cfg.clip_value)

    def _actor_losses(self, minibatch: PpoSamples) -> list[Tensor]:
        """Return KL divergence, surrogate loss and entropy of the policy of today, (...,) each."""
        acted = minibatch.acted
        then, today = Normal(acted.mean, acted.std, validate_args=False), self.distribution(minibatch)
        log_prob = today.log_prob(acted.action).sum(dim=-1)
        surrogate = surrogate_loss(log_prob, acted.log_prob, minibatch.advantage, self.cfg.clip)
        return [kl_divergence(then, today).sum(dim=-1).detach(), surrogate, today.entropy().sum(dim=-1)]

    def distribution(self, minibatch: PpoSamples) -> Normal:
        """Return the current distribution of a minibatch's actions, given the inputs that the rollout acted on."""
        return self.policy.distribution(minibatch.obs, minibatch.acted.inferred)

    def losses_beside(self, minibatch: PpoSamples) -> dict[str, Tensor]:
        """Return further losses of a minibatch, name -> scalar, with the same names in every iteration."""
        return {}

    @torch.no_grad()
    def _state_metrics(self, samples: PpoSamples) -> Metrics:
        """Return learning rate and noise after the update, and how well the critic predicted the returns."""
        lr = self.optimizer.param_groups[0]["lr"]
        one = torch.ones((), device=self.device)
        foreseen = explained_variance(samples.value, samples.returns, samples.weight)
        return {
            "train/learning_rate": (lr.clone(), one),
            "train/noise_std": (self.policy.noise.log_std.exp().mean(), one),
            "train/explained_variance": (foreseen, one),
        }


def exploration(cfg: PpoCfg, iteration: int) -> tuple[float, float]:
    """Return the weight of the entropy and the logarithm of the upper bound of the noise in an iteration."""
    progress = ramp(iteration, cfg.anneal_start, cfg.anneal_iterations, 1.0)
    entropy_coef = cfg.entropy_coef if cfg.final_entropy_coef is None else cfg.final_entropy_coef
    first, last = math.log(cfg.max_std), math.log(cfg.max_std if cfg.final_max_std is None else cfg.final_max_std)
    return cfg.entropy_coef + progress * (entropy_coef - cfg.entropy_coef), first + progress * (last - first)
