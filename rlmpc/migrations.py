"""The format of checkpoints: its version, and how files of earlier versions are brought to today's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from rlmpc.errors import UserError

FORMAT = 2
"""Version of what we put into a Lightning checkpoint."""

SECTION = "rlmpc"
"""Key of our own part in a Lightning checkpoint: `format`, the run's `config` and the last `report`."""


def migrate(content: dict[str, Any], owner: str) -> dict[str, Any]:
    """The content of a checkpoint in today's format; changed in place where it is older.

    Args:
        content: all that the file holds.
        owner: what the file is called in a message.

    Raises:
        UserError: for a format that this version does not know.
    """
    ours = content[SECTION]
    if ours.get("format") not in (*_STEPS, FORMAT):
        raise UserError(f"'{owner}' has format {ours.get('format')}; this version reads formats 1 to {FORMAT}")
    while ours["format"] != FORMAT:
        _STEPS[ours["format"]](content)
        ours["format"] += 1
    return content


def _from_1(content: dict[str, Any]) -> None:
    """Of each rank there was only the curriculum, whose levels were named by the environment and lacked their kinds.

    Environments are sorted by kind, so a kind of its own for each keeps the levels where they were.
    """
    states = content.get("RolloutDataModule", {}).get("env", [])
    for state in states:
        for name in ("level", "terrain_levels"):
            if name in state:
                state["levels"] = state.pop(name)
                state["kinds"] = torch.arange(state["levels"].shape[0])
    content["RolloutDataModule"] = {"ranks": [{"env": state} for state in states]}


_STEPS: dict[int, Callable[[dict[str, Any]], None]] = {1: _from_1}
"""Format -> what brings a file of it to the next one."""
