"""Rewards as Isaac Lab's manager computes them, several terms at the same time on a GPU."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from isaaclab.envs import ManagerBasedRLEnv
from isaaclab.utils.buffers import TimestampedBuffer
from torch import Tensor

from rlmpc.graphs import at_once

NUM_WAYS = 8
"""Of terms that are computed at the same time."""
PURE_PACKAGES = ("isaaclab", "isaaclab_tasks", "rlmpc")
"""Packages whose reward functions change nothing."""


class RewardWays:
    """Computes the terms of Isaac Lab's reward manager in `NUM_WAYS` ways that a GPU goes at the same time.

    Terms of which it is unknown what they change come first, one after another, and so do those that make the simulator
    compute a quantity on demand, because others may read it. The first call shows which these are.

    Args:
        env: an environment whose reward terms are functions.
    """

    def __init__(self, env: ManagerBasedRLEnv) -> None:
        self._env = env
        self._manager = env.reward_manager
        self._first: list[int] | None = None
        """Terms that come first, by their index; None before the first call."""

    def compute(self, dt: float) -> Tensor:
        """Do what the manager's `compute` does for a step [s]; return the rewards (N,)."""
        manager = self._manager
        terms = range(len(manager._term_cfgs))
        if self._first is None:
            self._first = [index for index in terms if self._changes_something(index)]
        else:
            self._weigh(self._first)
            others = [index for index in terms if index not in self._first]
            before = self._computed()
            at_once(
                torch.device(self._env.device),
                [partial(self._weigh, others[way::NUM_WAYS]) for way in range(NUM_WAYS)],
            )
            assert self._computed() == before, "a reward term computes on demand what another may read"
        torch.sum(manager._step_reward, dim=1, out=manager._reward_buf).mul_(dt)
        manager._episode_sum_buf.add_(manager._step_reward, alpha=dt)
        return manager._reward_buf

    def _changes_something(self, index: int) -> bool:
        """Compute a term; return whether it may have changed what others read."""
        before = self._computed()
        self._weigh([index])
        package = self._manager._term_cfgs[index].func.__module__.partition(".")[0]
        return package not in PURE_PACKAGES or self._computed() != before

    def _weigh(self, indices: Iterable[int]) -> None:
        """Compute terms and write them, times their weights, into the manager's buffer."""
        for index in indices:
            term: Any = self._manager._term_cfgs[index]
            weighted = self._manager._step_reward[:, index]
            if term.weight == 0.0:
                weighted.zero_()
            else:
                torch.mul(term.func(self._env, **term.params), term.weight, out=weighted)

    def _computed(self) -> list[tuple[Any, ...]]:
        """Return what the simulator has computed on demand: names and times in the data of each part of the scene."""
        scene = self._env.scene
        parts: list[Any] = [*scene.articulations.values(), *scene.rigid_objects.values(), *scene.sensors.values()]
        found: list[tuple[Any, ...]] = []
        for number, part in enumerate(parts):
            # A sensor's data are computed as a whole.
            found.append((number, getattr(part, "_data_dirty", None)))
            buffers = vars(part._data).items()
            found += [(number, name, b.timestamp) for name, b in buffers if isinstance(b, TimestampedBuffer)]
        return found
