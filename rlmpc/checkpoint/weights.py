"""Loads the weights of a checkpoint into a module that they fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn

from rlmpc.checkpoint.arrays import misfits
from rlmpc.errors import UserError
from rlmpc.networks.normalizer import RunningNormalizer


def make_with_weights[M: nn.Module](make: Callable[[], M], weights: Mapping[str, torch.Tensor], owner: str) -> M:
    """Make a module and load `weights` into it. It is made without memory first, so that a file cannot ask for more.

    Args:
        make: makes the module, from settings and a contract in the file.
        weights: parameters and buffers by name.
        owner: the file, for messages.

    Raises:
        UserError: if the module cannot be made, or the weights do not fit it.
    """
    try:
        with torch.device("meta"):
            drawn = make()
    except UserError:
        raise
    except (KeyError, RuntimeError, TypeError, ValueError) as error:  # torch's messages are long
        reason = str(error.args[0] if error.args else error).splitlines()[0][:300]
        raise UserError(
            f"the agent's settings and the contract in '{owner}' do not belong together: {reason}"
        ) from error
    _check_weights(drawn, weights, owner)
    module = make()
    module.load_state_dict(dict(weights))
    return module


def load_weights(module: nn.Module, weights: Mapping[str, torch.Tensor], owner: str) -> None:
    """Load `weights` into `module`.

    Raises:
        UserError: if they do not fit, with a line for every parameter that is missing, unknown, or of another shape or
            type, or if one is not finite.
    """
    _check_weights(module, weights, owner)
    module.load_state_dict(dict(weights))


def _check_weights(module: nn.Module, weights: Mapping[str, torch.Tensor], owner: str) -> None:
    lines = misfits(dict(weights), module.state_dict())
    if lines:
        raise UserError(f"the weights in '{owner}' do not fit its networks (there | here):\n  " + "\n  ".join(lines))
    statistics = {f"{name}.{part}" for name, m in _normalizers(module) for part in ("var", "count")}
    for name, values in weights.items():
        if not bool(values.isfinite().all()) or (name in statistics and bool((values < 0).any())):
            accepted = "at least 0" if name in statistics else "finite"
            raise UserError(f"the weights in '{owner}' hold something else than expected: '{name}' is not {accepted}")


def _normalizers(module: nn.Module) -> list[tuple[str, nn.Module]]:
    return [(name, part) for name, part in module.named_modules() if isinstance(part, RunningNormalizer)]
