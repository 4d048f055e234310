"""The stage after distillation: the student goes on by reward."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Normal

from rlmpc.algorithms.finetune.settings import FinetuneCfg
from rlmpc.algorithms.ppo.learner import PpoLearner
from rlmpc.algorithms.student.policy import StudentPolicy
from rlmpc.losses.weighting import weighted_mean


class FinetuneLearner(PpoLearner):
    """PPO on a `StudentPolicy` that already acts well, with a value function that has still to be learned.

    For the first `critic_warmup` iterations only the value function learns: with a wrong one, the first policy
    gradients would undo what was distilled. A memory is unrolled over the rollout, as in distillation.
    """

    agent_cfg = FinetuneCfg
    # While the value function warms up, no gradient reaches the actor.
    find_unused_parameters = True

    cfg: FinetuneCfg
    policy: StudentPolicy

    def parameter_groups(self) -> dict[str, tuple[Iterable[torch.nn.Parameter], float]]:
        """The actor, whose rate follows the KL divergence, and the value function at a rate of its own."""
        assert self.policy.critic is not None
        critic = list(self.policy.critic.parameters())
        apart = {id(parameter) for parameter in critic}
        actor = [parameter for parameter in self.policy.parameters() if id(parameter) not in apart]
        return {"policy": (actor, self.cfg.learning_rate), "critic": (critic, self.cfg.critic_lr)}

    def replay(self, minibatch: dict[str, Any]) -> Normal:
        """Today's distribution of a minibatch's actions, with what the memory says today."""
        obs, policy = minibatch["obs"], self.policy
        recalled = policy.recall(obs, minibatch["memory"], minibatch["ended"]) if "memory" in minibatch else {}
        return policy.distribution(obs, recalled)

    def loss(self, minibatch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """PPO's loss; in the warm-up the value function's alone, and a KL of 0, since nothing moves the actor."""
        if self.current_epoch >= self.cfg.critic_warmup:
            return super().loss(minibatch)
        value = weighted_mean(self.value_losses(minibatch), minibatch["weight"])
        zero = torch.zeros_like(value)
        return self.cfg.value_coef * value, torch.stack([zero, zero, value, zero]).detach()
