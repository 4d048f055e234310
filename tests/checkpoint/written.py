"""Checkpoints as Lightning writes them, with our section."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from rlmpc.checkpoint.file import describe_run
from rlmpc.contract.contract import Contract
from rlmpc.contract.observations import ObsSchema, ObsTerm

CONFIG = {
    "stage": "teacher",
    "task": {"name": "toy"},
    "agent": {"algorithm": "ppo"},
    "env": {"history": 8},
    "deterministic": False,
}
CONTRACT = Contract(0.05, ObsSchema({"policy": (ObsTerm("gyro", 3),)}), ({"name": "push", "dim": 2},))
REPORT = {"episode/return": 1.5, "train/kl": 0.01}


def content(**changes: Any) -> dict[str, Any]:
    """What Lightning writes, with our section."""
    return {
        "epoch": 6,
        "state_dict": {"policy.weight": torch.arange(3.0)},
        "hyper_parameters": {"agent": {"algorithm": "ppo"}, "contract": CONTRACT.to_dict()},
        "RolloutDataModule": {
            "ranks": [{"curriculum": {"levels": torch.tensor([i, 2]), "kinds": torch.zeros(2).long()}} for i in (1, 3)]
        },
        "rlmpc": describe_run(CONFIG, REPORT),
    } | changes


def saved(path: Path, data: Any = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content() if data is None else data, path)
    return path
