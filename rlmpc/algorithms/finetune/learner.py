"""The stage after distillation: the student goes on learning, now from rewards."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Self

import torch
from torch.distributions import Normal

from rlmpc.algorithms.finetune.settings import FinetuneCfg
from rlmpc.algorithms.ppo.learner import PpoLearner, PpoSamples
from rlmpc.algorithms.restore import check_checkpoint, weights_of
from rlmpc.algorithms.student.policy import StudentPolicy
from rlmpc.algorithms.student.teacher_check import take_over_curriculum
from rlmpc.checkpoint.file import Checkpoint
from rlmpc.checkpoint.weights import load_weights
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
        """Start from a student's actor, memory, normalizer, curriculum and, unless `init_std` differs, noise.

        Raises:
            UserError: if the student does not fit the environment, or its weights do not fit the network settings.
        """
        assert origin is not None
        check_checkpoint(origin, env.contract, (settings.actor_group,))
        take_over_curriculum(env, origin)
        learner = super().start(settings, env, origin, say)
        fresh = {name: v for name, v in learner.policy.state_dict().items() if _is_critics(name, settings)}
        learned = {name: v for name, v in weights_of(origin, "policy").items() if not name.startswith("predictors.")}
        load_weights(learner.policy, fresh | learned, str(origin.path))
        if settings.init_std != origin.hyperparameters["agent"]["init_std"]:
            learner.policy.noise.reset(settings.init_std)
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


def _is_critics(name: str, settings: FinetuneCfg) -> bool:
    """Return whether a parameter or buffer of the policy belongs to the value function alone."""
    has_own_group = settings.critic_group != settings.actor_group
    return name.startswith("critic.") or (has_own_group and name.startswith(f"normalizers.{settings.critic_group}."))
