"""Looks into the updates of a learner."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from rlmpc.algorithms.ppo.learner import PpoLearner, PpoSamples
from rlmpc.algorithms.student.learner import StudentLearner
from rlmpc.learners.minibatches import Samples


def step(learner: PpoLearner | StudentLearner, samples: Samples) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """One update of PPO or of a student on all samples at once, but for the optimizer's step.

    Returns:
        The loss, its gradient as one vector, and what is reported by name.
    """
    with pytest.MonkeyPatch.context() as patch:
        losses: list[Tensor] = []

        def descend(loss: Tensor, *_: Callable[[], None]) -> Tensor:
            losses.append(loss)
            loss.backward()
            return torch.zeros(())

        patch.setattr(learner, "descend", descend)
        learner.zero_grad()
        reported = learner.step(samples)
    gradient = torch.cat([p.grad.flatten() for p in learner.parameters() if p.grad is not None])
    return losses[0].detach(), gradient, {name: value.detach() for name, value in reported.items()}


def ratio(learner: PpoLearner, samples: PpoSamples) -> Tensor:
    """How much more probable the actions of samples have become since they were taken, (...,)."""
    log_prob = learner.distribution(samples).log_prob(samples.acted.action).sum(dim=-1)
    return (log_prob - samples.acted.log_prob).exp().detach()
