"""PPO: an actor and a critic."""

from __future__ import annotations

from rlmpc.algorithms.algorithm import Algorithm
from rlmpc.algorithms.ppo.settings import PpoCfg


def _policy() -> type:
    from rlmpc.algorithms.ppo.policy import ActorCritic

    return ActorCritic


def _learner() -> type:
    from rlmpc.algorithms.ppo.learner import PpoLearner

    return PpoLearner


PPO = Algorithm("ppo", PpoCfg, "teacher", _policy, _learner)
