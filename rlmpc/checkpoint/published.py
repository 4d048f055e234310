"""Checkpoints for others: a trained policy without what only its own run needs."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from rlmpc.checkpoint.file import RANKS, SECTION, Checkpoint
from rlmpc.checkpoint.write import write_whole
from rlmpc.config.setting import settings_of
from rlmpc.config.train import TrainCfg
from rlmpc.errors import UserError

NAME = "policy.ckpt"
"""Name of such a file in a folder of its own, which is found like a run's."""

CARD = "README.md"
"""Name of the card beside it."""

KEPT = ("num_envs", "curriculum")
"""What stays of the state of a rank."""


def check_unpublished(folder: Path) -> None:
    """Refuse a folder that a policy cannot be published in.

    Raises:
        UserError: if it holds a published policy, or is no folder.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"'{folder}' is a file; publish=PATH takes a folder")
    for name in (NAME, CARD):
        if (folder / name).exists():
            raise UserError(
                f"'{folder / name}' exists already and is not overwritten; remove it or name another folder"
            )


def write_published(checkpoint: Checkpoint, path: Path) -> None:
    """Write what it takes to play, export, teach and start with the policy of a checkpoint.

    That is its weights, the arguments of its learner, the run's config without paths, and the curriculum, in which a
    student of it starts. Optimizer, states of environments and of random generators, and a student's teacher stay
    behind.

    Raises:
        RunError: if it cannot be written.
    """
    # The import takes seconds.
    import torch

    buffer = io.BytesIO()
    torch.save(_stripped(checkpoint), buffer)
    write_whole(path, buffer.getvalue())


def _stripped(checkpoint: Checkpoint) -> dict[str, Any]:
    ours = checkpoint.content[SECTION]
    paths = {key: value for key, value, said, _ in settings_of(TrainCfg()) if said.path}
    return {
        "epoch": checkpoint.iteration - 1,
        "state_dict": {name: v for name, v in checkpoint.state_dict.items() if name.startswith("policy.")},
        "hyper_parameters": checkpoint.hyperparameters,
        RANKS: {"ranks": [{key: rank[key] for key in KEPT if key in rank} for rank in checkpoint.ranks]},
        SECTION: {
            **ours,
            "config": _replaced(checkpoint.config, paths),
            "published_from": checkpoint.published_from or checkpoint.sha256,
        },
    }


def _replaced(config: dict[str, Any], values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a config with other values at some dotted keys."""
    return {
        name: _replaced(value, values, f"{prefix}{name}.")
        if isinstance(value, dict)
        else values.get(f"{prefix}{name}", value)
        for name, value in config.items()
    }
