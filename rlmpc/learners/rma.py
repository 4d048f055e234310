"""The teacher stage with adaptation: PPO, a velocity estimator and a history encoder trained together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Normal
from torch.nn.functional import cosine_similarity, mse_loss

from rlmpc.config.schema import RmaCfg
from rlmpc.learners.base import Metrics
from rlmpc.learners.schedules import is_nth, ramp
from rlmpc.learners.teacher import TeacherLearner
from rlmpc.losses.adaptation import latent_distance
from rlmpc.networks.rma import RmaActorCritic


class RmaLearner(TeacherLearner):
    """Trains an `RmaActorCritic`.

    Every `history_every`-th iteration acts on the history latent, the others on the privileged one. PPO trains the
    actor, the scan encoder, the critic and, where its latent acted, the privileged encoder, always from the inputs that
    the rollout consumed. Each minibatch also trains the estimator on the true velocity and, from `regularizer_start`
    on, pulls the privileged latent towards the history latent. After the iterations that acted on the history latent,
    the history encoder alone is trained towards the privileged latent, on the states that its own latent led to
    (DAgger: Ross et al., "A reduction of imitation learning and structured prediction to no-regret online learning",
    2011).
    """

    agent_cfg = RmaCfg
    loss_names = (*TeacherLearner.loss_names, "loss/estimator")
    # No backward pass reaches the history encoder and PPO's parameters, and some leave out the privileged encoder.
    find_unused_parameters = True

    cfg: RmaCfg
    policy: RmaActorCritic

    def parameter_groups(self) -> dict[str, tuple[Iterable[torch.nn.Parameter], float]]:
        """PPO's parameters, the estimator's and the history encoder's, each with a learning rate of its own."""
        policy, cfg = self.policy, self.cfg
        apart = {id(p) for module in (policy.estimator, policy.history_encoder) for p in module.parameters()}
        return {
            "policy": ([p for p in policy.parameters() if id(p) not in apart], cfg.learning_rate),
            "estimator": (policy.estimator.parameters(), cfg.estimator_lr),
            "history": (policy.history_encoder.parameters(), cfg.history_lr),
        }

    def on_train_epoch_start(self) -> None:
        """Choose the latent that this iteration's rollout acts on."""
        self.policy.mode = "history" if is_nth(self.current_epoch, self.cfg.history_every) else "privileged"

    def update(self, samples: dict[str, Any]) -> Metrics:
        """PPO and estimator steps; then, where the history latent acted, those of the history encoder."""
        metrics = self._latent_metrics(samples) | super().update(samples)
        metrics["loss/history"] = self._adapt_history(samples["obs"])
        return metrics

    def replay(self, minibatch: dict[str, Any]) -> Normal:
        """As the base class does; with `compat: reference` from the true velocity and the privileged latent instead.

        The reference acts on the estimated velocity and at times on the history latent, but updates on these.
        """
        if self.cfg.compat != "reference":
            return super().replay(minibatch)
        obs, policy = minibatch["obs"], self.policy
        return policy.distribution_given(obs, policy.true_velocity(obs), policy.privileged_latent(obs))

    def loss(self, minibatch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """PPO's loss, the estimator's, and the pull of the privileged latent towards the history latent."""
        loss, numbers = super().loss(minibatch)
        obs = minibatch["obs"]
        estimation = mse_loss(self.policy.estimate_velocity(obs), self.policy.true_velocity(obs))
        loss = loss + estimation
        weight = self._regularizer_weight()
        if weight > 0.0:
            history_latent = minibatch["inferred"]["history_latent"]
            loss = loss + weight * latent_distance(self.policy.privileged_latent(obs), history_latent)
        return loss, torch.cat([numbers, estimation.detach().view(1)])

    def _regularizer_weight(self) -> float:
        cfg = self.cfg
        return ramp(self.current_epoch, cfg.regularizer_start, cfg.regularizer_ramp, cfg.regularizer_weight)

    def _adapt_history(self, obs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Bring the history latents of `obs`, groups (B, D_g), to the privileged ones, where the former acted.

        Returns:
            Sum of the minibatches' losses and their number; 0 and 0 where nothing is trained.
        """
        cfg, policy = self.cfg, self.policy
        total, count = torch.zeros((), device=self.device), torch.zeros((), device=self.device)
        if policy.mode != "history":
            return total, count
        with torch.no_grad():
            target = policy.privileged_latent(obs)
        samples = {"obs": {policy.actor_group: obs[policy.actor_group]}, "target": target}
        for minibatch in self.minibatches(samples, cfg.num_epochs, cfg.num_minibatches):
            loss = latent_distance(policy.history_latent(minibatch["obs"]), minibatch["target"])
            self.descend(loss)
            total, count = total + loss.detach(), count + 1
        return total, count

    @torch.no_grad()
    def _latent_metrics(self, samples: dict[str, Any]) -> Metrics:
        """How well velocity and latent were inferred while acting; before anything is updated."""
        obs, inferred = samples["obs"], samples["inferred"]
        one = torch.ones((), device=self.device)
        error = (inferred["velocity"] - self.policy.true_velocity(obs)) ** 2
        rmse = self.mean_over_ranks(error.mean(dim=0)).sqrt()
        privileged, history = self.policy.privileged_latent(obs), inferred["history_latent"]
        return {
            **{f"estimator/rmse_{axis}": (value, one) for axis, value in zip("xyz", rmse, strict=False)},
            "latent/distance": (latent_distance(history, privileged), one),
            "latent/cosine": (cosine_similarity(history, privileged, dim=-1).mean(), one),
            "latent/regularizer_weight": (one * self._regularizer_weight(), one),
            "latent/acted_on_history": (one * float(self.policy.mode == "history"), one),
        }
