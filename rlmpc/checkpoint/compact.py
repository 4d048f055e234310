"""Makes the state of many environments small on disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Whole numbers by their size in bytes: the same bits, even where floats would call zeros equal or NaN unequal."""


def compact(state: Mapping[str, Any], num_envs: int) -> dict[str, Any]:
    """The same values, where tensors whose rows are alike to the bit are one row expanded.

    `torch.save` writes no more than that row: of all that could be randomised, most is not. Reads from the device once.

    Args:
        state: path -> tensor or anything else.
        num_envs: rows of a tensor that has one for each environment.
    """
    per_env = {
        path: value for path, value in state.items() if isinstance(value, Tensor) and value.shape[:1] == (num_envs,)
    }
    if not per_env:
        return dict(state)
    bits = (tensor.view(BITS[tensor.element_size()]) for tensor in per_env.values())
    are_alike = torch.stack([(rows == rows[:1]).all() for rows in bits]).tolist()
    shared = {
        path: tensor[:1].clone().expand_as(tensor)
        for (path, tensor), is_alike in zip(per_env.items(), are_alike, strict=True)
        if is_alike
    }
    return {**state, **shared}
