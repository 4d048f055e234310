"""The loop of policy and environment: act, step, forget. Rollouts, evaluation, films and replays all run by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from rlmpc.envs.vec_env import Obs, Step, VecEnv, finite_rows
from rlmpc.networks.memory import forget

Memory = Mapping[str, Tensor]
"""What a policy remembers of N environments, (N, ...) each; zeros at the start of an episode."""


class Choice(Protocol):
    """What acting returns, at least."""

    action: Tensor
    """(N, A)"""
    memory: dict[str, Tensor]
    """For the next step."""


@dataclass
class Action:
    """A choice without anything else to tell."""

    action: Tensor
    memory: dict[str, Tensor] = field(default_factory=dict)


class ActingPolicy(Protocol):
    """What playing needs of a policy."""

    def initial_memory(self, num_envs: int) -> dict[str, Tensor]:
        """Memory at the start of an episode, (N, ...) each."""
        ...

    def act(self, obs: Obs, memory: Memory, deterministic: bool = False) -> Choice:
        """Actions for N environments."""
        ...


def noiseless(policy: ActingPolicy) -> Callable[[Obs, Memory], Choice]:
    """How a policy acts by the mean of its actions."""
    return partial(policy.act, deterministic=True)


@dataclass
class Transition:
    """One step of N environments."""

    obs: Obs
    """What was acted upon."""
    obs_is_finite: Tensor
    """(N,) bool."""
    acted: Any
    """What acting returned, a `Choice`."""
    step: Step
    """What came of it."""
    memory: dict[str, Tensor]
    """For the next step: zeros where an episode starts."""


@torch.no_grad()
def interact(
    env: VecEnv, act: Callable[[Obs, Memory], Choice], obs: Obs, memory: Memory, obs_is_finite: Tensor | None = None
) -> Iterator[Transition]:
    """Act and step, without end.

    Environments whose observation or action is not finite are asked to restart.

    Args:
        env: the environments.
        act: chooses actions for N environments from what they see and what is remembered.
        obs: what they see now, groups (N, D_g).
        memory: what is remembered now.
        obs_is_finite: (N,) bool; None looks at `obs`.
    """
    if obs_is_finite is None:
        obs_is_finite = finite_rows(obs)
    while True:
        acted = act(obs, memory)
        env.restart(~(obs_is_finite & finite_rows({"action": acted.action})))
        step = env.step(acted.action)
        memory = forget(acted.memory, step.restarts | ~step.valid)
        yield Transition(obs, obs_is_finite, acted, step, memory)
        obs, obs_is_finite = step.obs, step.obs_is_finite
