"""Selects columns of an observation group; `ObsSchema` says which."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def select(x: Tensor, columns: Sequence[slice]) -> Tensor:
    """Concatenate the chosen columns of `x` (..., D)."""
    return torch.cat([x[..., part] for part in columns], dim=-1)


def width(columns: Sequence[slice]) -> int:
    """Return how many columns `select` gives."""
    return sum(part.stop - part.start for part in columns)
