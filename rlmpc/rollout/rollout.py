"""One rollout: T steps of N environments, as learners take them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

Metrics = dict[str, tuple[Tensor, Tensor]]
"""Name -> (weighted sum, weight), scalars on the device; every iteration and every rank has the same names."""


@dataclass
class Rollout:
    """What was seen, done and earned; every tensor is finite.

    A sample that is not valid holds zeros, but for what lets the samples before it bootstrap: it is truncated, with the
    value of its observation as `terminal_value`, or 0 where that is unknown.
    """

    obs: dict[str, Tensor]
    """Groups that the policy wants to learn from, (T, N, D_g)."""
    acted: Any
    """What `act` returned, a dataclass of tensors (T, N, ...), its `memory` left out."""
    reward: Tensor
    """(T, N)"""
    terminated: Tensor
    """(T, N) bool."""
    truncated: Tensor
    """(T, N) bool."""
    valid: Tensor
    """(T, N) bool: the sample can be learned from."""
    value: Tensor | None = None
    """Of `obs`, (T, N); None for a policy that values nothing, like the two after it."""
    terminal_value: Tensor | None = None
    """Of the observation that a truncated episode ended with, (T, N)."""
    last_value: Tensor | None = None
    """Of the observation that follows the rollout, (N,)."""
    memory: dict[str, Tensor] = field(default_factory=dict)
    """What the policy remembered at the start of the rollout, (N, ...)."""
    metrics: Metrics = field(default_factory=dict)
    """Of the rollout's steps and episodes."""
