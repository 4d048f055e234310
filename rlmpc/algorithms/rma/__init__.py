"""PPO with adaptation: privileged and history latents and a velocity estimator."""

from __future__ import annotations

from rlmpc.algorithms.algorithm import Algorithm
from rlmpc.algorithms.rma.settings import RmaCfg


def _policy() -> type:
    from rlmpc.algorithms.rma.policy import RmaActorCritic

    return RmaActorCritic


def _learner() -> type:
    from rlmpc.algorithms.rma.learner import RmaLearner

    return RmaLearner


RMA = Algorithm("rma", RmaCfg, "teacher", _policy, _learner)
