"""Whether two runs ended in the same state, to the bit."""

from __future__ import annotations

import csv
from pathlib import Path

import torch

from rlmpc.checkpoint.find import checkpoints_by_age


def compare(there: Path, here: Path) -> str:
    """What differs between the ends of two runs, apart from time; empty if nothing does."""
    differing = [] if curve(there) == curve(here) else ["the curve"]
    ends = [
        torch.load(checkpoints_by_age(run / "checkpoints")[0], map_location="cpu", weights_only=True)
        for run in (there, here)
    ]
    for name in ("state_dict", "optimizer_states", "RolloutDataModule", "epoch", "global_step"):
        differing += differences(ends[0][name], ends[1][name], name)
    return ", ".join(differing)


def curve(folder: Path) -> list[dict[str, str]]:
    """Rows of `metrics.csv` without those that measure time."""
    with (folder / "metrics.csv").open() as file:
        return [{k: v for k, v in row.items() if not k.startswith("perf/")} for row in csv.DictReader(file)]


def differences(there: object, here: object, path: str) -> list[str]:
    """Where nested dicts, lists and tensors are not equal to the bit."""
    if isinstance(there, torch.Tensor) and isinstance(here, torch.Tensor):
        return [] if torch.equal(there, here) else [path]
    if isinstance(there, dict) and isinstance(here, dict) and there.keys() == here.keys():
        return [found for key in there for found in differences(there[key], here[key], f"{path}/{key}")]
    if isinstance(there, list | tuple) and isinstance(here, list | tuple) and len(there) == len(here):
        pairs = enumerate(zip(there, here, strict=True))
        return [found for index, (a, b) in pairs for found in differences(a, b, f"{path}/{index}")]
    return [] if there == here else [path]
