"""Loads the weights of a checkpoint into a module that they fit."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from rlmpc.contract.differences import differences
from rlmpc.errors import UserError


def load_weights(module: nn.Module, weights: Mapping[str, torch.Tensor], owner: str) -> None:
    """Load `weights` into `module`.

    Raises:
        UserError: if they do not fit, with a line for every parameter that is missing, unknown or of another shape.
    """
    there = {name: list(values.shape) for name, values in weights.items()}
    here = {name: list(values.shape) for name, values in module.state_dict().items()}
    lines = [line for name in {**there, **here} for line in _shapes_differ(name, there, here)]
    if lines:
        raise UserError(f"the weights in '{owner}' do not fit its networks (there | here):\n  " + "\n  ".join(lines))
    module.load_state_dict(dict(weights))


def _shapes_differ(name: str, there: Mapping[str, list[int]], here: Mapping[str, list[int]]) -> list[str]:
    if name in there and name in here:
        return [] if there[name] == here[name] else [f"{name}: {there[name]} | {here[name]}"]
    return differences(there.get(name, "missing"), here.get(name, "missing"), name)
