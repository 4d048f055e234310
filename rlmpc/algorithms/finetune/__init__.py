"""PPO from a student's weights."""

from __future__ import annotations

from rlmpc.algorithms.algorithm import Algorithm
from rlmpc.algorithms.finetune.settings import FinetuneCfg


def _policy() -> type:
    from rlmpc.algorithms.student.policy import StudentPolicy

    return StudentPolicy


def _learner() -> type:
    from rlmpc.algorithms.finetune.learner import FinetuneLearner

    return FinetuneLearner


FINETUNE = Algorithm("finetune", FinetuneCfg, "finetune", _policy, _learner, starts_from="student")
