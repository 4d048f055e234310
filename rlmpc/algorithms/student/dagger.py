"""Rollouts in which a student acts, a teacher labels, and the teacher may act in a share of the environments.

DAgger: Ross et al., "A reduction of imitation learning and structured prediction to no-regret online learning", 2011.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
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
        self._is_drawn = False
        self._teacher_acts = torch.zeros(0, dtype=torch.bool)

    def start_rollout(self, teacher_share: float) -> None:
        """Let the teacher act in this share of the environments, drawn anew at the next step."""
        self.teacher_share = teacher_share
        self._is_drawn = False

    @property
    def variant(self) -> Hashable:
        """None, so that nothing is recorded, for the step in which the teacher's environments are drawn."""
        return "drawn" if self._is_drawn else None

    def initial_memory(self, num_envs: int) -> dict[str, Tensor]:
        """Return the student's memory at the start of an episode; teachers have none."""
        return self.student.initial_memory(num_envs)

    def act(self, obs: Obs, memory: Memory, deterministic: bool | Tensor = False) -> Labelled:
        """Choose actions for N environments and label them; where `deterministic`, the student acts."""
        acted = self.student.act(obs, memory, deterministic)
        label = self.teacher.act(obs, {}, deterministic=True)
        if not self._is_drawn:
            self._draw(label.mean)
        teacher_acts = self._teacher_acts
        if isinstance(deterministic, Tensor):
            teacher_acts = teacher_acts & ~deterministic
        action = torch.where(teacher_acts.unsqueeze(1), label.mean, acted.action)
        taught = self.teacher.teach(obs) if self.targets else {}
        targets = {name: taught[name] for name in self.targets}
        return Labelled(action, label.mean, label.std, teacher_acts, targets, acted.memory)

    def _draw(self, like: Tensor) -> None:
        """Draw where the teacher acts, into the same tensor as before, which recordings refer to."""
        drawn = drawn_share(self.teacher_share, like)
        if self._teacher_acts.shape != drawn.shape:
            self._teacher_acts = drawn
        self._teacher_acts.copy_(drawn)
        self._is_drawn = True

    def value(self, obs: Obs) -> Tensor:
        """Raise NotImplementedError; nothing calls this, since there is no critic group."""
        raise NotImplementedError


def drawn_share(share: float, like: Tensor) -> Tensor:
    """Draw a mask (N,) for `like` (N, ...), true in a random share of the rows, rounded to whole rows."""
    num_rows = like.shape[0]
    return torch.randperm(num_rows, device=like.device) < round(share * num_rows)
