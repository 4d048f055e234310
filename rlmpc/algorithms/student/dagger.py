"""Rollouts in which a student acts, a teacher labels, and the teacher may act in a share of the environments.

DAgger: Ross et al., "A reduction of imitation learning and structured prediction to no-regret online learning", 2011.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor

from rlmpc.envs.vec_env import Obs
from rlmpc.networks.policy import GaussianPolicy, Memory


@dataclass
class Labelled:
    """Actions of N environments and the teacher's labels."""

    action: Tensor
    """(N, A)."""
    teacher_mean: Tensor
    """Mean of the teacher's actions, (N, A)."""
    teacher_std: Tensor
    """Standard deviation of the teacher's actions, (N, A)."""
    teacher_acts: Tensor
    """(N,) bool: whether the action is the teacher's."""
    targets: dict[str, Tensor]
    """Other quantities that the teacher teaches, (N, width) each."""
    memory: dict[str, Tensor]
    """The student's memory for the next step."""


class DaggerPolicy:
    """Student and teacher as one policy of a rollout.

    Args:
        student: the policy that learns; acts with its own noise.
        teacher: the policy that is imitated; labels every observation and acts with the mean of its actions.
        targets: what the student learns from the teacher besides actions; some of the teacher's `teachable`.
    """

    critic_group = None

    def __init__(self, student: GaussianPolicy, teacher: GaussianPolicy, targets: Collection[str] = ()) -> None:
        self.student = student
        self.teacher = teacher
        self.targets = targets
        self.groups = student.acting_groups
        self.teacher_share = 0.0
        self._teacher_acts: Tensor | None = None

    def start_rollout(self, teacher_share: float) -> None:
        """Let the teacher act in this share of the environments, drawn anew at the next step."""
        self.teacher_share = teacher_share
        self._teacher_acts = None

    def initial_memory(self, num_envs: int) -> dict[str, Tensor]:
        """Return the student's memory at the start of an episode; teachers have none."""
        return self.student.initial_memory(num_envs)

    def act(self, obs: Obs, memory: Memory) -> Labelled:
        """Choose actions for N environments and label them."""
        acted = self.student.act(obs, memory)
        label = self.teacher.act(obs, {}, deterministic=True)
        if self._teacher_acts is None:
            self._teacher_acts = drawn_share(self.teacher_share, label.mean)
        action = torch.where(self._teacher_acts.unsqueeze(1), label.mean, acted.action)
        taught = self.teacher.teach(obs) if self.targets else {}
        targets = {name: taught[name] for name in self.targets}
        return Labelled(action, label.mean, label.std, self._teacher_acts, targets, acted.memory)

    def value(self, obs: Obs) -> Tensor:
        """Raise NotImplementedError; nothing calls this, since there is no critic group."""
        raise NotImplementedError


def drawn_share(share: float, like: Tensor) -> Tensor:
    """Draw a mask (N,) for `like` (N, ...), true in a random share of the rows, rounded to whole rows."""
    num_rows = like.shape[0]
    return torch.randperm(num_rows, device=like.device) < round(share * num_rows)
