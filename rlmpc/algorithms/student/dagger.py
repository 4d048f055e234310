"""Rollouts in which a student acts, a teacher labels, and the teacher may act in a share of the environments.

DAgger: Ross et al., "A reduction of imitation learning and structured prediction to no-regret online learning", 2011.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rlmpc.algorithms.rma.policy import RmaActorCritic
from rlmpc.envs.vec_env import Obs
from rlmpc.networks.policy import GaussianPolicy
from rlmpc.rollout.collector import Memory


class DaggerPolicy:
    """Student and teacher as one policy of a rollout.

    Args:
        student: what learns; acts with its own noise.
        teacher: what is imitated; labels every observation, and acts, with the mean of its actions.
        targets: whether to record what an `rma` teacher knows: its privileged latent and the true velocity.
    """

    mode = "direct"
    critic_group = None

    def __init__(self, student: GaussianPolicy, teacher: GaussianPolicy, targets: bool) -> None:
        self.student = student
        self.teacher = teacher
        self.targets = targets
        self.groups = student.acting_groups
        self.teacher_share = 0.0
        self._teacher_acts: Tensor | None = None

    def start_rollout(self, teacher_share: float) -> None:
        """Let the teacher act in this share of the environments, drawn anew with the next step."""
        self.teacher_share = teacher_share
        self._teacher_acts = None

    def initial_memory(self, num_envs: int) -> Memory:
        """The student's; teachers have none."""
        return self.student.initial_memory(num_envs)

    def act(self, obs: Obs, memory: Memory) -> dict[str, Any]:
        """Actions of N environments, and the teacher's labels.

        Returns:
            `action` (N, A), `teacher_mean` and `teacher_std` (N, A), `teacher_acts` (N,) bool, the student's `memory`
            and, with `targets`, `latent` (N, L) and `velocity` (N, 3).
        """
        acted = self.student.act(obs, memory)
        label = self.teacher.act(obs, {}, deterministic=True)
        if self._teacher_acts is None:
            self._teacher_acts = drawn_share(self.teacher_share, label["mean"])
        return {
            "action": torch.where(self._teacher_acts.unsqueeze(1), label["mean"], acted["action"]),
            "teacher_mean": label["mean"],
            "teacher_std": label["std"],
            "teacher_acts": self._teacher_acts,
            "memory": acted["memory"],
            **(self._targets(obs) if self.targets else {}),
        }

    def value(self, obs: Obs) -> Tensor:
        """Never asked, since there is no critic group."""
        raise NotImplementedError

    def _targets(self, obs: Obs) -> dict[str, Tensor]:
        assert isinstance(self.teacher, RmaActorCritic)
        return {"latent": self.teacher.privileged_latent(obs), "velocity": self.teacher.true_velocity(obs)}


def drawn_share(share: float, like: Tensor) -> Tensor:
    """(N,) bool beside `like` (N, ...): true for a share of the rows, rounded to whole ones and drawn at random."""
    num_rows = like.shape[0]
    return torch.randperm(num_rows, device=like.device) < round(share * num_rows)
