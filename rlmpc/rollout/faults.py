"""Keeps the last rollout in such a way that one with a fault can be gone through again."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rlmpc.checkpoint.compact import compact
from rlmpc.checkpoint.random_state import random_state
from rlmpc.envs.vec_env import VecEnv

MAX_SHOWN = 16
"""Faulty environments whose observations are kept; the others can be seen in the replay."""


class FaultRecorder:
    """What the environments were in the midst of when a rollout began, and what was done to them since.

    No policy is needed to replay it: the actions are kept, and the random generators before every step, since
    environments and policies draw from the same ones.
    """

    def __init__(self) -> None:
        self._start: dict[str, Any] = {}
        self._random: list[dict[str, Any]] = []
        self._actions: list[Tensor] = []
        self._obs: dict[str, Tensor] = {}
        self._valid = torch.ones(0, 0, dtype=torch.bool)

    def begin(self, env: VecEnv, obs_is_finite: Tensor) -> None:
        """A rollout begins.

        Args:
            env: the environments.
            obs_is_finite: (N,) bool, whether what is acted upon first is finite.
        """
        self._start = {"state": env.state(), "obs_is_finite": obs_is_finite}
        self._random, self._actions = [], []

    def add(self, action: Tensor) -> None:
        """The environments are about to be stepped with `action` (N, A), finite or not."""
        self._random.append(random_state(action.device))
        self._actions.append(action.clone())

    def finish(self, valid: Tensor, obs: dict[str, Tensor]) -> None:
        """The rollout is over.

        Args:
            valid: (T, N) bool.
            obs: what was seen, groups (T, N, D_g), zeros where not valid; read by `recording` before the next rollout.
        """
        self._valid = valid
        self._obs = obs

    def has_fault(self) -> bool:
        """Whether there was a fault in the last rollout; waits for the device."""
        return bool((~self._valid).any())

    def recording(self) -> dict[str, Any]:
        """The last rollout as plain data on the CPU.

        Returns:
            `state`, what `VecEnv.state` gave at its start; `obs_is_finite` (N,), of what was seen then;
            `random`, the state of the generators before each of T steps; `actions` (T, N, A); `valid` (T, N); and of a
            few faulty environments `shown` (K,) and their `obs`, groups (T, K, D_g).
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
    """A nested dict with its tensors on the CPU."""

    def moved(value: Any) -> Any:
        if isinstance(value, dict):
            return on_cpu(value)
        return value.cpu() if isinstance(value, Tensor) else value

    return {name: moved(value) for name, value in tree.items()}
