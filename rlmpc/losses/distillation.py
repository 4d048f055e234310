"""Losses for imitating a teacher's actions."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence
from torch.nn.functional import huber_loss, mse_loss

IMITATION_LOSSES = ("mse", "huber", "kl")
"""Kinds that `imitation_loss` accepts."""


def imitation_loss(kind: str, student: Normal, teacher: Normal, huber_delta: float = 1.0) -> Tensor:
    """Return how far a student's actions are from its teacher's, for every sample.

    Args:
        kind: `mse` or `huber`, between the means and averaged over actions, or `kl`, the divergence of the student's
            Gaussian from the teacher's, KL(teacher || student), which also teaches the spread.
        student: distribution of the student's actions (..., A).
        teacher: distribution of the teacher's actions (..., A).
        huber_delta: difference above which the Huber loss is linear.

    Returns:
        (...,) losses.
    """
    if kind == "kl":
        return kl_divergence(teacher, student).sum(dim=-1)
    if kind == "huber":
        return huber_loss(student.mean, teacher.mean, reduction="none", delta=huber_delta).mean(dim=-1)
    assert kind == "mse", kind
    return mse_loss(student.mean, teacher.mean, reduction="none").mean(dim=-1)


def leads_to_fall(terminated: Tensor, done: Tensor, num_steps: int) -> Tensor:
    """Mark steps whose episode ends in a fall at this step or one of the `num_steps - 1` after it.

    Whatever happens after the rollout is unknown and counts as no fall.

    Args:
        terminated: (T, N) bool, whether the step ended an episode in a fall.
        done: (T, N) bool, whether it ended an episode at all.
        num_steps: steps up to the fall, the last one included; 0 marks nothing.

    Returns:
        (T, N) bool.
    """
    marked = torch.zeros_like(terminated)
    if num_steps == 0:
        return marked
    remaining = torch.zeros_like(terminated[0], dtype=torch.long)
    for t in reversed(range(terminated.shape[0])):
        before = (remaining - 1).clamp(min=0)
        remaining = torch.where(terminated[t], num_steps, torch.where(done[t], 0, before))
        marked[t] = remaining > 0
    return marked
