"""One rollout as the only batch of a Lightning epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import lightning as L
import torch

from rlmpc.envs.vec_env import VecEnv
from rlmpc.rollout.collector import Collector, RolloutPolicy


class RolloutLoader:
    """An iterable of length 1 whose item is collected when it is asked for, with the policy of that moment.

    The length and the lazy generator both matter: Lightning prefetches from a loader without length, which would
    collect before the update, and an eager `__iter__` would collect more than once an epoch.
    """

    def __init__(self, datamodule: RolloutDataModule) -> None:
        self.datamodule = datamodule

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[dict[str, Any]]:
        yield self.datamodule.collect()


class RolloutDataModule(L.LightningDataModule):
    """Collects on-policy experience from this rank's environments, once an epoch."""

    def __init__(self, env: VecEnv, collector: Collector) -> None:
        super().__init__()
        self.env = env
        self.collector = collector

    def train_dataloader(self) -> RolloutLoader:
        """The loader of the rollout; see `RolloutLoader`."""
        return RolloutLoader(self)

    def collect(self) -> dict[str, Any]:
        """One rollout with the policy of the learner that the trainer holds."""
        assert self.trainer is not None
        return self.collector.collect(cast(RolloutPolicy, self.trainer.lightning_module.rollout_policy))

    def transfer_batch_to_device(
        self, batch: dict[str, Any], device: torch.device, dataloader_idx: int
    ) -> dict[str, Any]:
        """The rollout already lies where the learner is."""
        return batch

    def state_dict(self) -> dict[str, Any]:
        """Environment state of every rank, in their order. Every rank calls this when a checkpoint is written."""
        assert self.trainer is not None
        states: list[Any] = [self.env.state_dict()]
        if self.trainer.world_size > 1:
            states = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(states, self.env.state_dict())
        return {"env": states}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Give this rank's environments the state that they had."""
        assert self.trainer is not None
        self.env.load_state_dict(state_dict["env"][self.trainer.global_rank])
