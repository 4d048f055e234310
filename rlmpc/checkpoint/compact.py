"""Makes the state of many environments smaller on disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Integer types by size in bytes, to compare bits: as floats, 0 and -0 would be equal and NaN unequal to itself."""


def compact(state: Mapping[str, Any], num_envs: int) -> dict[str, Any]:
    """Return the same values, with every tensor whose rows are identical to the bit replaced by one expanded row.

    `torch.save` writes only that row; most quantities that could be randomised are not. Reads from the device once.

    Args:
        state: path -> tensor or any other value.
        num_envs: number of rows of a tensor with one row for each environment.
    """
    per_env = {
        path: value for path, value in state.items() if isinstance(value, Tensor) and value.shape[:1] == (num_envs,)
    }
    if not per_env:
        return dict(state)
    bits = (tensor.view(BITS[tensor.element_size()]) for tensor in per_env.values())
    flags = [(rows == rows[:1]).all() for rows in bits]
    # The state of a generator is on the CPU, and may have as many bytes as there are environments.
    are_alike = torch.stack([flag.to(flags[0].device) for flag in flags]).tolist()
    shared = {
        path: tensor[:1].clone().expand_as(tensor)
        for (path, tensor), is_alike in zip(per_env.items(), are_alike, strict=True)
        if is_alike
    }
    return {**state, **shared}
