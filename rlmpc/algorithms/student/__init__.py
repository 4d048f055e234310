"""Distillation of a teacher into a student that sees only what a robot senses."""

from __future__ import annotations

from rlmpc.algorithms.algorithm import Algorithm
from rlmpc.algorithms.student.settings import StudentCfg


def _policy() -> type:
    from rlmpc.algorithms.student.policy import StudentPolicy

    return StudentPolicy


def _learner() -> type:
    from rlmpc.algorithms.student.learner import StudentLearner

    return StudentLearner


STUDENT = Algorithm("student", StudentCfg, "distill", _policy, _learner, starts_from="teacher")
