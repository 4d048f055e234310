"""The loop of policy and environment: act, step, forget. Evaluation, films and replays use it.

A rollout takes the same steps in two recorded parts: `rlmpc/rollout/collector.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from rlmpc.envs.vec_env import Obs, Step, VecEnv, finite_rows
from rlmpc.networks.memory import forget
from rlmpc.rollout.storage import copies

Memory = Mapping[str, Tensor]
"""What a policy remembers of N environments, (N, ...) each; zeros at the start of an episode."""


class Choice(Protocol):
    """The least that acting returns."""

    action: Tensor
    """(N, A)."""
    memory: dict[str, Tensor]
    """Memory for the next step."""


@dataclass
class Action:
    """A plain `Choice` without further fields."""

    action: Tensor
    memory: dict[str, Tensor] = field(default_factory=dict)


class ActingPolicy(Protocol):
    """What playing needs from a policy."""

    def initial_memory(self, num_envs: int) -> dict[str, Tensor]:
        """Return the memory at the start of an episode, (N, ...) each."""
        ...

    def act(self, obs: Obs, memory: Memory, deterministic: bool = False) -> Choice:
        """Choose actions for N environments."""
        ...


def noiseless(policy: ActingPolicy) -> Callable[[Obs, Memory], Choice]:
    """Return the policy's `act` with the mean of its actions instead of a sample."""
    return partial(policy.act, deterministic=True)


@dataclass
class Transition:
    """One step of N environments."""

    obs: Obs
    """Observation acted upon."""
    obs_is_finite: Tensor
    """(N,) bool."""
    acted: Any
    """What acting returned, a `Choice`."""
    step: Step
    """Outcome of the step."""
    memory: dict[str, Tensor]
    """Memory for the next step: zeros where an episode starts."""


@torch.no_grad()
def interact(
    env: VecEnv, act: Callable[[Obs, Memory], Choice], obs: Obs, memory: Memory, obs_is_finite: Tensor | None = None
) -> Iterator[Transition]:
    """Act and step, without end.

    Environments whose observation or action is not finite are asked to restart.

    Args:
        env: the environments.
        act: chooses actions for N environments from observations and memory.
        obs: current observations, groups (N, D_g).
        memory: current memory.
        obs_is_finite: (N,) bool; None computes it from `obs`.
    """
    if obs_is_finite is None:
        obs_is_finite = finite_rows(obs)
    while True:
        # An environment may write each step's observations over the last ones.
        obs = copies(obs)
        acted = act(obs, memory)
        env.restart(is_broken(obs_is_finite, acted.action))
        step = env.step(acted.action)
        memory = forget(acted.memory, is_forgotten(step))
        yield Transition(obs, obs_is_finite, acted, step, memory)
        obs, obs_is_finite = step.obs, step.obs_is_finite


def is_broken(obs_is_finite: Tensor, action: Tensor) -> Tensor:
    """Return which environments must restart because of what was seen or done there, (N,) bool.

    Args:
        obs_is_finite: (N,) bool.
        action: (N, A).
    """
    return ~(obs_is_finite & finite_rows({"action": action}))


def is_senseless(transition: Transition) -> Tensor:
    """Return where a policy answered a finite observation with an action that is not, (N,) bool."""
    return transition.obs_is_finite & ~finite_rows({"action": transition.acted.action})


def is_forgotten(step: Step) -> Tensor:
    """Return where a policy starts from an empty memory after a step, (N,) bool."""
    return step.restarts | ~step.valid
