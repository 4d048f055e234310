"""Environments selected as Isaac Lab's terms are told: by indices, a slice, or a mask.

A mask (N,) of booleans costs no wait for the device, as indices do, and its work never changes in size: with masks
alone, a whole step can be recorded as a graph. What is written for a mask has a row for each environment.
"""

import torch
from isaaclab.envs import ManagerBasedEnv

from rlmpc.networks.tree import like_rows

Selected = torch.Tensor | slice | None
"""Indices of environments, a slice, a mask (N,) of booleans; None is all."""


def is_mask(selected: Selected) -> bool:
    """Return whether environments are selected by a mask."""
    return isinstance(selected, torch.Tensor) and selected.dtype == torch.bool


def mask_of(env: ManagerBasedEnv, selected: Selected) -> torch.Tensor:
    """Return the selected environments as a mask (N,)."""
    if isinstance(selected, torch.Tensor) and is_mask(selected):
        return selected
    mask = torch.zeros(env.num_envs, dtype=torch.bool, device=env.device)
    mask[slice(None) if selected is None else selected] = True
    return mask


def uniform(env: ManagerBasedEnv, selected: Selected, low: float, high: float, *shape: int) -> torch.Tensor:
    """Draw numbers for the selected environments; shape is (n, *shape), for a mask (N, *shape)."""
    if isinstance(selected, torch.Tensor) and not is_mask(selected):
        count = len(selected)
    else:
        count = len(range(env.num_envs)[selected]) if isinstance(selected, slice) else env.num_envs
    return torch.empty(count, *shape, device=env.device).uniform_(low, high)


def write(values: torch.Tensor, selected: Selected, rows: torch.Tensor | float) -> None:
    """Write rows, or one number, into `values` (N, ...) at the selected environments; for a mask, rows are (N, ...)."""
    if not (isinstance(selected, torch.Tensor) and is_mask(selected)):
        values[slice(None) if selected is None else selected] = rows
        return
    mask = like_rows(selected, values)
    if isinstance(rows, torch.Tensor):
        torch.where(mask, rows, values, out=values)
    else:
        values.masked_fill_(mask, rows)
