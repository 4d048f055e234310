"""The stage after distillation: the student goes on learning, now from rewards."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Self

import torch
from torch.distributions import Normal

from rlmpc.algorithms.finetune.settings import FinetuneCfg
from rlmpc.algorithms.ppo.learner import PpoLearner, PpoSamples
from rlmpc.algorithms.restore import take_over_policy
from rlmpc.algorithms.student.policy import StudentPolicy
from rlmpc.algorithms.student.teacher_check import take_over_curriculum
from rlmpc.checkpoint.file import Checkpoint
from rlmpc.envs.vec_env import VecEnv
from rlmpc.learners.minibatches import memory_of


class FinetuneLearner(PpoLearner):
    """PPO on a `StudentPolicy` that already acts well, with a value function that starts untrained.

    For the first `critic_warmup` iterations only the value function learns: while it is wrong, policy gradients would
    undo the distillation. A memory is unrolled over the rollout, as in distillation.
    """

    cfg: FinetuneCfg
    policy: StudentPolicy

    @classmethod
    def start(cls, settings: FinetuneCfg, env: VecEnv, origin: Checkpoint | None, say: Callable[[str], None]) -> Self:
        """Start from a student's policy and curriculum; without a student (`init_ckpt`), from nothing.

        Raises:
            UserError: if the student does not fit the environment, or its weights do not fit the network settings.
        """
        learner = super().start(settings, env, origin, say)
        if origin is not None:
            take_over_policy(learner, origin, env.contract)
            take_over_curriculum(env, origin)
        return learner

    @property
    def trains_actor(self) -> bool:
        """Whether the warm-up of the value function is over."""
        return self.current_epoch >= self.cfg.critic_warmup

    def parameter_groups(self) -> dict[str, tuple[Iterable[torch.nn.Parameter], str]]:
        """Return the actor, whose rate follows the KL divergence, and the value function, whose rate is fixed."""
        assert self.policy.critic is not None
        critic = list(self.policy.critic.parameters())
        apart = {id(parameter) for parameter in critic}
        actor = [parameter for parameter in self.policy.parameters() if id(parameter) not in apart]
        return {"policy": (actor, "learning_rate"), "critic": (critic, "critic_lr")}

    def distribution(self, minibatch: PpoSamples) -> Normal:
        """Return the current distribution of a minibatch's actions, with the current memory's outputs."""
        recalled = self.policy.recall(minibatch.obs, memory_of(minibatch), minibatch.restarts)
        return self.policy.distribution(minibatch.obs, recalled)
