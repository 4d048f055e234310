"""From a rollout to minibatches of samples."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from rlmpc.networks.tree import tree_map


@dataclass
class Samples:
    """Samples over which losses are averaged: single steps (B, ...) or, for a memory, sequences (T, n, ...).

    An algorithm adds the fields that its losses need.
    """

    obs: dict[str, Tensor]
    """Groups (..., D_g)."""
    weight: Tensor
    """(...,): 1, or 0 for a sample of which only `obs` and `restarts` may be used."""
    restarts: Tensor
    """(...,) bool: whether the next observation belongs to another episode."""
    memory: dict[str, Tensor]
    """Memory of n environments before the first step, (1, n, ...) each, from `start_of`; empty for single steps."""


def start_of(memory: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give a memory (N, ...) from before the first step a time dimension, (1, N, ...)."""
    return tree_map(lambda values: values.unsqueeze(0), memory)


def memory_of(samples: Samples) -> dict[str, Tensor]:
    """Return the memory (n, ...) before the first step; empty for single steps."""
    return tree_map(lambda values: values.squeeze(0), samples.memory)


def single_steps[S: Samples](samples: S) -> S:
    """Flatten samples (T, N, ...) to (T N, ...), without a copy; return samples with a memory unchanged."""
    return samples if samples.memory else tree_map(lambda values: values.flatten(0, 1), samples)


def minibatches[S: Samples](samples: S, num_epochs: int, num_minibatches: int) -> Iterator[S]:
    """Yield shuffled minibatches that hold each sample once an epoch.

    Single steps are shuffled one by one. With a memory, environments are shuffled and their steps stay in order.
    """
    dim = 1 if samples.memory else 0
    num_rows = samples.weight.shape[dim]
    for _ in range(num_epochs):
        order = torch.randperm(num_rows, device=samples.weight.device)
        # Shuffle everything, then cut: this takes fewer small kernels than gathering every minibatch.
        shuffled = rows(samples, order, dim)
        length = math.ceil(num_rows / num_minibatches)
        for start in range(0, num_rows, length):
            yield part_of(shuffled, start, min(length, num_rows - start), dim)


def rows[S: Samples](samples: S, order: Tensor, dim: int) -> S:
    """Copy the rows `order` (R,) of every tensor along `dim`."""
    return tree_map(lambda values: values.index_select(dim, order), samples)


def part_of[S: Samples](samples: S, start: int, length: int, dim: int) -> S:
    """Return `length` rows from `start` of every tensor along `dim`, without a copy."""
    return tree_map(lambda values: values.narrow(dim, start, length), samples)
