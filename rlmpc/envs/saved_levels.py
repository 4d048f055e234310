"""Levels that a run goes on with, where it has other numbers of environments or ranks than before."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def levels_for(state: dict[str, Any], num_envs: int) -> Tensor:
    """Return levels of N environments, sorted by kind of ground, from what `VecEnv.curriculum` returned.

    Args:
        state: `levels` and `kinds` of M environments, (M,) each.
        num_envs: N. If it is M, the levels are the saved ones; else they follow the saved histogram, kind by kind.

    Returns:
        (N,) integers.
    """
    levels, kinds = state["levels"], state["kinds"]
    count = levels.shape[0]
    if count == num_envs:
        return levels
    by_kind_and_level = torch.argsort(kinds * (levels.max() + 1) + levels)
    rows = (2 * torch.arange(num_envs, device=levels.device) + 1) * count // (2 * num_envs)
    return levels[by_kind_and_level[rows]]


def merged_states(states: list[dict[str, Any]]) -> dict[str, Any]:
    """Merge what `VecEnv.curriculum` returned on several ranks into one state; counters are the first rank's."""
    levels = {name: torch.cat([state[name] for state in states]) for name in ("levels", "kinds") if name in states[0]}
    return {**states[0], **levels}
