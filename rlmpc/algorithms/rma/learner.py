"""The teacher stage with adaptation: PPO, a velocity estimator and a history encoder trained together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Normal
from torch.nn.functional import cosine_similarity, mse_loss

from rlmpc.algorithms.ppo.learner import PpoLearner
from rlmpc.algorithms.rma.policy import RmaActorCritic
from rlmpc.algorithms.rma.settings import RmaCfg
from rlmpc.learners.metrics import Metrics, means_of_updates
from rlmpc.learners.schedules import is_nth, ramp
from rlmpc.losses.adaptation import latent_distance
from rlmpc.losses.weighting import weighted_mean


class RmaLearner(PpoLearner):
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
    # No backward pass reaches the history encoder and PPO's parameters, and some leave out the privileged encoder.
    find_unused_parameters = True

    cfg: RmaCfg
    policy: RmaActorCritic

    @property
    def terms(self) -> dict[str, float]:
        """Those of PPO, and how far off the estimated velocity is."""
        return {**super().terms, "loss/estimator": 1.0}

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
        return self._latent_metrics(samples) | super().update(samples) | self._adapt_history(samples)

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
        strength = self._regularizer_weight()
        if strength > 0.0:
            privileged, history = (
                self.policy.privileged_latent(minibatch["obs"]),
                minibatch["inferred"]["history_latent"],
            )
            loss = loss + strength * weighted_mean(latent_distance(privileged, history), minibatch["weight"])
        return loss, numbers

    def sample_losses(self, minibatch: dict[str, Any]) -> list[Tensor]:
        """PPO's terms and the estimator's squared error, for every sample (B,)."""
        obs, policy = minibatch["obs"], self.policy
        error = mse_loss(policy.estimate_velocity(obs), policy.true_velocity(obs), reduction="none").mean(dim=-1)
        return [*super().sample_losses(minibatch), error]

    def _regularizer_weight(self) -> float:
        cfg = self.cfg
        return ramp(self.current_epoch, cfg.regularizer_start, cfg.regularizer_ramp, cfg.regularizer_weight)

    def _adapt_history(self, samples: dict[str, Any]) -> Metrics:
        """Bring the history latents of flat samples (B, ...) to the privileged ones, where the former acted.

        Returns:
            `loss/history`, of weight 0 where nothing is trained.
        """
        cfg, policy, obs = self.cfg, self.policy, samples["obs"]
        if policy.mode != "history":
            nothing = torch.zeros((), device=self.device)
            return {"loss/history": (nothing, nothing)}
        with torch.no_grad():
            target = policy.privileged_latent(obs)
        sensed = {policy.actor_group: obs[policy.actor_group]}
        needed = {"obs": sensed, "target": target, "weight": samples["weight"]}
        reported = []
        for minibatch in self.minibatches(needed, cfg.num_epochs, cfg.num_minibatches):
            distance = latent_distance(policy.history_latent(minibatch["obs"]), minibatch["target"])
            loss = weighted_mean(distance, minibatch["weight"])
            # A skipped step has no norm; its loss is left out with it.
            reported.append(torch.stack([loss.detach(), self.descend(loss)]))
        return {"loss/history": means_of_updates(("loss/history", "norm"), reported)["loss/history"]}

    @torch.no_grad()
    def _latent_metrics(self, samples: dict[str, Any]) -> Metrics:
        """How well velocity and latent were inferred while acting; before anything is updated."""
        obs, inferred, weight = samples["obs"], samples["inferred"], samples["weight"]
        one = torch.ones((), device=self.device)
        error = (inferred["velocity"] - self.policy.true_velocity(obs)) ** 2
        rmse = self.mean_over_ranks(weighted_mean(error.T, weight)).sqrt()
        privileged, history = self.policy.privileged_latent(obs), inferred["history_latent"]
        return {
            **{f"estimator/rmse_{axis}": (value, one) for axis, value in zip("xyz", rmse, strict=False)},
            "latent/distance": (weighted_mean(latent_distance(history, privileged), weight), one),
            "latent/cosine": (weighted_mean(cosine_similarity(history, privileged, dim=-1), weight), one),
            "latent/regularizer_weight": (one * self._regularizer_weight(), one),
            "latent/acted_on_history": (one * float(self.policy.mode == "history"), one),
        }
