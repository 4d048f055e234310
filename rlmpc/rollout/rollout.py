"""A rollout: T steps of N environments, as learners take them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

Metrics = dict[str, tuple[Tensor, Tensor]]
"""Name -> (weighted sum, weight), scalars on the device; every iteration and every rank has the same names."""


@dataclass
class Rollout:
    """Observations, actions and rewards; every tensor is finite.

    An invalid sample holds zeros, except for what the samples before it bootstrap from: it is truncated, with the value
    of its observation as `terminal_value`, or 0 if that is unknown.
    """

    obs: dict[str, Tensor]
    """Groups that the policy learns from, (T, N, D_g)."""
    acted: Any
    """What `act` returned without its `memory`, a dataclass of tensors (T, N, ...)."""
    reward: Tensor
    """(T, N)."""
    terminated: Tensor
    """(T, N) bool."""
    truncated: Tensor
    """(T, N) bool."""
    valid: Tensor
    """(T, N) bool: whether the sample can be learned from."""
    value: Tensor | None = None
    """Value of `obs`, (T, N). This and the next two are None for a policy without critic."""
    terminal_value: Tensor | None = None
    """Value of the observation that a truncated episode ended with, (T, N)."""
    last_value: Tensor | None = None
    """Value of the observation after the rollout, (N,)."""
    memory: dict[str, Tensor] = field(default_factory=dict)
    """The policy's memory at the start of the rollout, (N, ...) each."""
    metrics: Metrics = field(default_factory=dict)
    """Metrics of the rollout's steps and episodes."""
