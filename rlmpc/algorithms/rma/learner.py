"""The teacher stage with adaptation: PPO, a velocity estimator and a history encoder trained together."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Normal
from torch.nn.functional import cosine_similarity, mse_loss

from rlmpc.algorithms.ppo.learner import PpoLearner, PpoSamples
from rlmpc.algorithms.rma.policy import RmaActorCritic
from rlmpc.algorithms.rma.settings import RmaCfg
from rlmpc.learners.base import GRAD_NORM
from rlmpc.learners.minibatches import Samples
from rlmpc.learners.schedules import is_nth, ramp
from rlmpc.losses.adaptation import latent_distance
from rlmpc.losses.weighting import weighted_mean
from rlmpc.networks.policy import NORMALIZED
from rlmpc.rollout.rollout import Metrics


@dataclass
class HistorySamples(Samples):
    """Samples that the history encoder learns from."""

    target: Tensor
    """Privileged latent (B, latent_dim)."""


class RmaLearner(PpoLearner):
    """Trains an `RmaActorCritic`.

    Every `history_every`-th iteration acts on the history latent, the others on the privileged latent. PPO trains the
    actor, the scan encoder, the critic and, if its latent was acted on, the privileged encoder, always from the inputs
    that the rollout acted on. Each minibatch also trains the estimator on the true velocity and, from
    `regularizer_start` on, pulls the privileged latent towards the history latent. An iteration that acted on the
    history latent then trains the history encoder alone towards the privileged latent, on the states that its own
    latent led to (DAgger: Ross et al., "A reduction of imitation learning and structured prediction to no-regret online
    learning", 2011).
    """

    cfg: RmaCfg
    policy: RmaActorCritic

    strength: Tensor
    """Weight of the regularizer in this iteration, a scalar."""

    def __init__(self, agent: dict[str, Any], contract: dict[str, Any]) -> None:
        super().__init__(agent, contract)
        self.register_buffer("strength", torch.zeros(()), persistent=False)

    def parameter_groups(self) -> dict[str, tuple[Iterable[torch.nn.Parameter], str]]:
        """Return the parameters of PPO, estimator and history encoder, each group with its own learning rate."""
        policy = self.policy
        apart = {id(p) for module in (policy.estimator, policy.history_encoder) for p in module.parameters()}
        return {
            "policy": ([p for p in policy.parameters() if id(p) not in apart], "learning_rate"),
            "estimator": (policy.estimator.parameters(), "estimator_lr"),
            "history": (policy.history_encoder.parameters(), "history_lr"),
        }

    def on_train_epoch_start(self) -> None:
        """Choose the latent that this iteration's rollout acts on."""
        if is_nth(self.current_epoch, self.cfg.history_every):
            self.policy.on_robot()
        else:
            self.policy.in_simulation()

    def update(self, samples: PpoSamples) -> Metrics:
        """Train PPO and the estimator, then the history encoder if its latent was acted on; return the metrics."""
        self.strength.fill_(self._regularizer_weight())
        before = self.replay("latent_metrics", lambda: self._latent_metrics(samples), variant=self.variant)
        return before | super().update(samples) | self._adapt_history(samples)

    @property
    def variant(self) -> Hashable:
        """Which latent was acted on, and whether the regularizer pulls."""
        return self.policy.acts_on_history, self._regularizer_weight() > 0.0

    def distribution(self, minibatch: PpoSamples) -> Normal:
        """Return the distribution as PPO does, or with `compat: reference` from true velocity and privileged latent.

        The reference acts on the estimated velocity and at times on the history latent, but updates on these.
        """
        if self.cfg.compat != "reference":
            return super().distribution(minibatch)
        obs, policy = minibatch.obs, self.policy
        return policy.distribution_given(obs, policy.true_velocity(obs), policy.privileged_latent(obs))

    def losses_beside(self, minibatch: PpoSamples) -> dict[str, Tensor]:
        """Return the estimator's squared error and the pull of the privileged latent towards the history latent."""
        obs, weight, policy = minibatch.obs, minibatch.weight, self.policy
        error = mse_loss(policy.estimate_velocity(obs), policy.true_velocity(obs), reduction="none").mean(dim=-1)
        estimator = weighted_mean(error, weight)
        pull = torch.zeros_like(estimator)
        if self._regularizer_weight() > 0.0:
            distance = latent_distance(policy.privileged_latent(obs), minibatch.acted.inferred["history_latent"])
            pull = self.strength * weighted_mean(distance, weight)
        return {"loss/estimator": estimator, "loss/regularizer": pull}

    def _regularizer_weight(self) -> float:
        cfg = self.cfg
        return ramp(self.current_epoch, cfg.regularizer_start, cfg.regularizer_ramp, cfg.regularizer_weight)

    def _adapt_history(self, samples: PpoSamples) -> Metrics:
        """Train the history latent towards the privileged one on single steps, if the history latent was acted on.

        Returns:
            `loss/history`, with weight 0 if nothing was trained.
        """
        policy, obs = self.policy, samples.obs
        if not policy.acts_on_history:
            nothing = torch.zeros((), device=self.device)
            return {"loss/history": (nothing, nothing)}
        with torch.no_grad():
            target = policy.privileged_latent(obs)
        sensed = NORMALIZED + policy.actor_group
        needed = HistorySamples({sensed: obs[sensed]}, samples.weight, samples.restarts, {}, target)
        needed = self.recorder.place("history_samples", needed)
        return {"loss/history": self.take_steps(self.history_step, needed)["loss/history"]}

    def history_step(self, minibatch: HistorySamples) -> dict[str, Tensor]:
        """Take one optimizer step of the history encoder and return what to report."""
        distance = latent_distance(self.policy.history_latent(minibatch.obs), minibatch.target)
        loss = weighted_mean(distance, minibatch.weight)
        # The norm of a skipped step is not a number, so its loss is left out of the mean, too.
        return {"loss/history": loss, GRAD_NORM: self.descend(loss)}

    @torch.no_grad()
    def _latent_metrics(self, samples: PpoSamples) -> Metrics:
        """Measure how well velocity and latent were inferred in the rollout; call it before anything is updated."""
        obs, inferred, weight = samples.obs, samples.acted.inferred, samples.weight
        one = torch.ones((), device=self.device)
        error = (inferred["velocity"] - self.policy.true_velocity(obs)) ** 2
        squares = weighted_mean(error.T, weight)
        privileged, history = self.policy.privileged_latent(obs), inferred["history_latent"]
        return {
            **{f"estimator/rmse_{axis}": (square, one) for axis, square in zip("xyz", squares, strict=False)},
            "latent/distance": (weighted_mean(latent_distance(history, privileged), weight), one),
            "latent/cosine": (weighted_mean(cosine_similarity(history, privileged, dim=-1), weight), one),
            "latent/regularizer_weight": (self.strength.clone(), one),
            "latent/acted_on_history": (one * float(self.policy.acts_on_history), one),
        }
