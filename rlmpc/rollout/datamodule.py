"""One rollout as the only batch of a Lightning epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import lightning as L
import torch

from rlmpc.checkpoint.compact import compact
from rlmpc.checkpoint.random_state import load_random_state, random_state
from rlmpc.envs.vec_env import VecEnv
from rlmpc.rollout.collector import Collector
from rlmpc.rollout.rollout import Rollout
from rlmpc.rollout.rollout_policy import RolloutPolicy


class RolloutLoader:
    """An iterable of length 1 whose item is collected on request, with the policy of that moment.

    The length and the lazy generator both matter: Lightning prefetches from a loader without length, which would
    collect before the update, and an eager `__iter__` would collect more than once an epoch.
    """

    def __init__(self, datamodule: RolloutDataModule) -> None:
        self.datamodule = datamodule

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Rollout]:
        yield self.datamodule.collect()


class RolloutDataModule(L.LightningDataModule):
    """Collects on-policy experience from this rank's environments, once an epoch.

    Args:
        env: this rank's environments.
        collector: steps them.
        keep_state: whether checkpoints hold the exact state of the environments and rollout, or only the curriculum.
    """

    def __init__(self, env: VecEnv, collector: Collector, keep_state: bool = True) -> None:
        super().__init__()
        self.env = env
        self.collector = collector
        self.keep_state = keep_state
        self._random_state: dict[str, Any] | None = None

    def train_dataloader(self) -> RolloutLoader:
        """Return the loader of the rollout; see `RolloutLoader`."""
        return RolloutLoader(self)

    def collect(self) -> Rollout:
        """Collect one rollout with the policy of the trainer's learner."""
        assert self.trainer is not None
        if self._random_state is not None:
            load_random_state(self._random_state, self.env.device)
            self._random_state = None
        if self.collector.held_out is not None:
            self.collector.held_out.begin_iteration(self.trainer.current_epoch)
        return self.collector.collect(cast(RolloutPolicy, self.trainer.lightning_module.rollout_policy))

    def transfer_batch_to_device(self, batch: Rollout, device: torch.device, dataloader_idx: int) -> Rollout:
        """Return the batch as it is: the rollout is already on the learner's device."""
        return batch

    def state_dict(self) -> dict[str, Any]:
        """Return the `rank_state` of every rank, in order; every rank calls this when a checkpoint is written."""
        assert self.trainer is not None
        states: list[Any] = [self.rank_state()]
        if self.trainer.world_size > 1:
            states = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(states, self.rank_state())
        return {"ranks": states}

    def rank_state(self) -> dict[str, Any]:
        """Return the state of this rank.

        Returns:
            `num_envs`, `curriculum`, `random` (the random generators), `kept_state`, and if that is set `state` (the
            environments' exact state) and `rollout` (what carries over from one rollout to the next).
        """
        state = {
            "num_envs": self.env.num_envs,
            "curriculum": self.env.curriculum(),
            "random": random_state(self.env.device),
            "kept_state": self.keep_state,
        }
        if self.keep_state:
            compacted = compact(self.env.state(), self.env.num_envs)
            state |= {"state": compacted, "rollout": self.collector.state_dict()}
        return state

    def resume(self, state: dict[str, Any]) -> None:
        """Restore the parts of a `rank_state` that are there; without the exact state, episodes start anew.

        Raises:
            ValueError: if the exact state is of other environments.
        """
        if "curriculum" in state:
            self.env.load_curriculum(state["curriculum"])
        if {"state", "rollout"} <= state.keys():
            self.env.load_state(state["state"])
            self.collector.load_state_dict(state["rollout"])
        if "random" in state:
            # Loaded now to check it, and again before the first rollout, since what is built until then also draws
            # random numbers.
            load_random_state(state["random"], self.env.device)
            self._random_state = state["random"]
