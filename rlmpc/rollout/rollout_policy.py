"""What a policy must be able to do to act in rollouts."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol

from torch import Tensor

from rlmpc.envs.vec_env import Obs
from rlmpc.rollout.interaction import Choice, Memory


class RolloutPolicy(Protocol):
    """What collecting needs from a policy, whose parameters and buffers change in place: recordings refer to them."""

    groups: tuple[str, ...]
    """Observation groups to keep for the update."""
    critic_group: str | None
    """Group that `value` takes; None for a policy without critic."""

    @property
    def variant(self) -> Hashable:
        """What tells the ways in which it acts apart: `act` runs the same Python code as long as this is equal.

        A GPU records each variant once; None is not recorded.
        """
        ...

    def initial_memory(self, num_envs: int) -> dict[str, Tensor]:
        """Return the memory at the start of an episode, (N, ...) each; empty for a policy without memory."""
        ...

    def act(self, obs: Obs, memory: Memory, deterministic: bool | Tensor = False) -> Choice:
        """Choose actions for N environments; return them and how they were chosen, a dataclass of tensors.

        They are means instead of samples where a mask (N,) `deterministic` says.
        """
        ...

    def value(self, obs: Obs) -> Tensor:
        """Estimate the expected return (N,) from `obs` alone: a GPU does so while it acts."""
        ...
