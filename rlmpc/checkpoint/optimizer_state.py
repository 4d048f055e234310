"""Compares the state of an optimizer in a checkpoint with the optimizer that it is loaded into."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch.optim import Optimizer

from rlmpc.checkpoint.arrays import misfits
from rlmpc.checkpoint.schema import OptimizerState
from rlmpc.contract.differences import differences
from rlmpc.errors import UserError


def check_optimizer(states: Sequence[OptimizerState], optimizer: Optimizer, path: Path) -> None:
    """Refuse a state that is not of this optimizer: a fused step would write beyond the memory of its tensors.

    Args:
        states: what a checkpoint holds; empty if it holds none.
        optimizer: a new one, without state.
        path: the checkpoint, for the message.

    Raises:
        UserError: if a group, a setting or a size differs, with the first that does.
    """
    if not states:
        return
    field = "optimizer_states"
    lines = misfits([None] * len(states), [None], field)
    for state in states[:1]:
        here = optimizer.state_dict()["param_groups"]
        lines += misfits(state["param_groups"], here, f"{field}.0.param_groups")
        lines = lines or differences(_constants(state["param_groups"]), _constants(here), field)
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        for index, kept in state["state"].items():
            name = f"{field}.0.state.{index}"
            if index >= len(parameters):
                lines.append(f"{name}: a parameter | missing")
                continue
            parameter = parameters[index]
            moments = {"step": kept["step"], "exp_avg": parameter, "exp_avg_sq": parameter}
            lines += misfits(kept, moments, name)
    if lines:
        raise UserError(f"the optimizer's state in '{path}' does not fit its networks (there | here): {lines[0]}")


def _constants(groups: Any) -> list[dict[str, Any]]:
    """Return groups of parameters without what changes during training."""
    return [{key: value for key, value in group.items() if key != "lr"} for group in groups]
