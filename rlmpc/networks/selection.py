"""Taking columns out of an observation group; `ObsSchema` says which."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def select(x: Tensor, columns: Sequence[slice]) -> Tensor:
    """The chosen columns of `x` (..., D), side by side."""
    return torch.cat([x[..., part] for part in columns], dim=-1)


def width(columns: Sequence[slice]) -> int:
    """How many columns `select` gives."""
    return sum(part.stop - part.start for part in columns)
