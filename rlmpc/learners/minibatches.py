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
    """What losses are means of: single steps (B, ...) or, to unroll a memory, steps in time (T, n, ...).

    An algorithm adds what its losses need.
    """

    obs: dict[str, Tensor]
    """Groups (..., D_g)."""
    weight: Tensor
    """(...,): 1, or 0 for a sample of which losses may use nothing but `obs` and `restarts`."""
    restarts: Tensor
    """(...,) bool: whether the next observation is of another episode."""
    memory: dict[str, Tensor]
    """Of n environments before the first step, (1, n, ...) each as `start_of` gives it; empty for single steps."""


def start_of(memory: dict[str, Tensor]) -> dict[str, Tensor]:
    """A memory (N, ...) as the one before the first of T steps, (1, N, ...)."""
    return tree_map(lambda values: values.unsqueeze(0), memory)


def memory_of(samples: Samples) -> dict[str, Tensor]:
    """The memory (n, ...) before the first step; empty for single steps."""
    return tree_map(lambda values: values.squeeze(0), samples.memory)


def single_steps[S: Samples](samples: S) -> S:
    """Samples (T, N, ...) as (T N, ...), without a copy; those with a memory stay as they are."""
    return samples if samples.memory else tree_map(lambda values: values.flatten(0, 1), samples)


def minibatches[S: Samples](samples: S, num_epochs: int, num_minibatches: int) -> Iterator[S]:
    """Shuffled minibatches, each sample once an epoch.

    Single steps are shuffled one by one; with a memory, whole environments are, their steps in order.
    """
    dim = 1 if samples.memory else 0
    num_rows = samples.weight.shape[dim]
    for _ in range(num_epochs):
        order = torch.randperm(num_rows, device=samples.weight.device)
        # Shuffled as a whole and cut afterwards: fewer small kernels than gathering every minibatch.
        shuffled = rows(samples, order, dim)
        length = math.ceil(num_rows / num_minibatches)
        for start in range(0, num_rows, length):
            yield part_of(shuffled, start, min(length, num_rows - start), dim)


def rows[S: Samples](samples: S, order: Tensor, dim: int) -> S:
    """The rows `order` (R,) of every tensor along `dim`, copied."""
    return tree_map(lambda values: values.index_select(dim, order), samples)


def part_of[S: Samples](samples: S, start: int, length: int, dim: int) -> S:
    """So many rows of every tensor along `dim`, without a copy."""
    return tree_map(lambda values: values.narrow(dim, start, length), samples)
