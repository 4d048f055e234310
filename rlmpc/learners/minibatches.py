"""From a rollout to minibatches of samples."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rlmpc.learners.parallel import parallel
from rlmpc.networks.tree import tree_map


@dataclass
class Samples:
    """Samples over which losses are averaged: single steps (B, ...) or, for a memory, sequences (T, n, ...).

    An algorithm adds the fields that its losses need.
    """

    obs: dict[str, Tensor]
    """What `GaussianPolicy.prepared` gave, (..., D) each."""
    weight: Tensor
    """(...,): 1, or 0 for a sample of which only `obs` and `restarts` may be used."""
    restarts: Tensor
    """(...,) bool: whether the next observation belongs to another episode."""
    memory: dict[str, Tensor]
    """Memory of n environments before the first step, (1, n, ...) each, from `start_of`; empty for single steps."""

    @property
    def dim(self) -> int:
        """Dimension along which samples are shuffled: that of single steps, or of the sequences' environments."""
        return 1 if self.memory else 0


def start_of(memory: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give a memory (N, ...) from before the first step a time dimension, (1, N, ...)."""
    return tree_map(lambda values: values.unsqueeze(0), memory)


def memory_of(samples: Samples) -> dict[str, Tensor]:
    """Return the memory (n, ...) before the first step; empty for single steps."""
    return tree_map(lambda values: values.squeeze(0), samples.memory)


def single_steps[S: Samples](samples: S) -> S:
    """Flatten samples (T, N, ...) to (T N, ...), without a copy; return samples with a memory unchanged."""
    return samples if samples.memory else tree_map(lambda values: values.flatten(0, 1), samples)


def minibatches(samples: Samples, num_epochs: int, num_minibatches: int) -> Iterator[Tensor]:
    """Yield the rows (R,) of shuffled minibatches that hold each sample once an epoch.

    Single steps are shuffled one by one. With a memory, environments are shuffled and their steps stay in order. The
    next epoch is shuffled, which takes a GPU dozens of kernels, beside this one's minibatches.
    """
    num_rows, device = samples.weight.shape[samples.dim], samples.weight.device
    following = torch.randperm(num_rows, device=device)
    for epoch in range(num_epochs):
        order = following
        with parallel(device) as wait:
            if epoch < num_epochs - 1:
                following = torch.randperm(num_rows, device=device)
        yield from order.split(math.ceil(num_rows / num_minibatches))
        wait()


def rows[S: Samples](samples: S, order: Tensor) -> S:
    """Copy the rows `order` (R,) of every tensor; groups of observations that are one tensor stay one."""
    copied: dict[tuple[int, torch.Size], Tensor] = {}

    def copy(values: Tensor) -> Tensor:
        key = (values.data_ptr(), values.shape)
        if key not in copied:
            copied[key] = values.index_select(samples.dim, order)
        return copied[key]

    with parallel(order.device) as wait:
        others = tree_map(lambda values: values.index_select(samples.dim, order), replace(samples, obs={}))
    obs = tree_map(copy, samples.obs)
    wait()
    return replace(others, obs=obs)
