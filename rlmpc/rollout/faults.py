"""Records the last rollout so that one with a fault can be replayed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rlmpc.checkpoint.compact import compact
from rlmpc.checkpoint.random_state import random_state, random_state_on
from rlmpc.envs.vec_env import VecEnv

MAX_SHOWN = 16
"""Number of faulty environments whose observations are kept; a replay shows the others."""


class FaultRecorder:
    """Keeps the state of the environments at the start of a rollout and the actions since.

    A replay needs no policy: the actions are kept. So are the states of all random generators at the start, and before
    every step that of the only one from which policies draw, too.
    """

    def __init__(self) -> None:
        self._start: dict[str, Any] = {}
        self._random: list[dict[str, Any]] = []
        self._actions: list[Tensor] = []
        self._obs: dict[str, Tensor] = {}
        self._valid = torch.ones(0, 0, dtype=torch.bool)

    def begin(self, env: VecEnv, obs_is_finite: Tensor) -> None:
        """Record the start of a rollout.

        Args:
            env: the environments.
            obs_is_finite: (N,) bool, whether the first observation acted upon is finite.
        """
        self._start = {"state": env.state(), "obs_is_finite": obs_is_finite}
        self._random, self._actions = [], []

    def add(self, action: Tensor) -> None:
        """Record the `action` (N, A), finite or not, before the environments are stepped with it."""
        of_interest = random_state_on if self._random else random_state
        self._random.append(of_interest(action.device))
        self._actions.append(action.clone())

    def finish(self, valid: Tensor, obs: dict[str, Tensor]) -> None:
        """Record the end of the rollout.

        Args:
            valid: (T, N) bool.
            obs: groups (T, N, D_g), zeros where not valid; not copied, so call `recording` before the next rollout.
        """
        self._valid = valid
        self._obs = obs

    def has_fault(self) -> bool:
        """Return whether the last rollout had a fault; waits for the device."""
        return bool((~self._valid).any())

    def recording(self) -> dict[str, Any]:
        """Return the last rollout as plain data on the CPU.

        Returns:
            `state`, what `VecEnv.state` gave at its start, compacted; `obs_is_finite` (N,) of the first observation;
            `random`, the state of the generators before the first step, and of the one that policies use before each
            later one; `actions` (T, N, A); `valid` (T, N); and `shown` (K,), the indices of a few faulty environments,
            with their `obs`, groups (T, K, D_g).
        """
        shown = (~self._valid).any(dim=0).nonzero().flatten()[:MAX_SHOWN]
        recording = {
            **self._start,
            "random": self._random,
            "actions": torch.stack(self._actions),
            "valid": self._valid,
            "shown": shown,
            "obs": {group: values.index_select(1, shown) for group, values in self._obs.items()},
        }
        recording = on_cpu(recording)
        return recording | {"state": compact(recording["state"], len(recording["obs_is_finite"]))}


def on_cpu(tree: dict[str, Any]) -> dict[str, Any]:
    """Return a nested dict with its tensors on the CPU."""

    def moved(value: Any) -> Any:
        if isinstance(value, dict):
            return on_cpu(value)
        return value.cpu() if isinstance(value, Tensor) else value

    return {name: moved(value) for name, value in tree.items()}
