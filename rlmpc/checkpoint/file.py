"""Checkpoint files: what we add to Lightning's, and how they are read safely."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlmpc.checkpoint.plain import read_plain
from rlmpc.checkpoint.schema import Content, OptimizerState, RankState
from rlmpc.contract.contract import Contract
from rlmpc.contract.schema import checked, shown
from rlmpc.errors import UserError

if TYPE_CHECKING:
    import torch

CHECKPOINT_FORMAT = 3
"""Version of what we add to a Lightning checkpoint; files of another version are refused."""

SECTION = "rlmpc"
"""Key of our part of a Lightning checkpoint: `format`, the run's `config`, the `numbers` of the last iteration, the
time at which it was `saved_s` [s since 1970], and what a published policy was `published_from`."""

RANKS = "RolloutDataModule"
"""Key under which Lightning stores the state of the ranks: {"ranks": [`RolloutDataModule.rank_state` of each]}."""


@dataclass(frozen=True)
class Checkpoint:
    """A saved learner and the run it comes from; plain data and tensors on the CPU."""

    path: Path
    sha256: str
    """SHA-256 of the file."""
    iteration: int
    """Finished iterations."""
    config: dict[str, Any]
    """The run's composed config, `TrainCfg` as a dict."""
    numbers: dict[str, float]
    """Numbers of the last iteration."""
    hyperparameters: dict[str, Any]
    """Arguments of the LightningModule: `agent`, `contract` and others."""
    state_dict: dict[str, torch.Tensor]
    ranks: list[dict[str, Any]]
    """State of each rank, as `RolloutDataModule.rank_state` returns it."""
    optimizer_states: list[OptimizerState]
    """State of the optimizer; empty if the file holds none."""
    content: dict[str, Any] = field(default_factory=dict, repr=False)
    """The whole content of the file, as Lightning restores it."""

    @property
    def curriculum(self) -> dict[str, Any] | None:
        """Curriculum of the first rank's environments."""
        return self.ranks[0].get("curriculum") if self.ranks else None

    @property
    def has_optimizer(self) -> bool:
        """Whether the file holds the state of the optimizer."""
        return bool(self.optimizer_states)

    @property
    def published_from(self) -> str | None:
        """SHA-256 of the checkpoint that this file was published from, without what its run needs; else None."""
        return self.content.get(SECTION, {}).get("published_from")

    @property
    def algorithm(self) -> str:
        """Name of the learner's algorithm."""
        return self.hyperparameters["agent"]["algorithm"]

    @property
    def noise_std(self) -> float | None:
        """Standard deviation of the actions that training had come to, mean over them; None if there is none."""
        log_std = self.state_dict.get("policy.noise.log_std")
        return None if log_std is None else float(f"{float(log_std.double().exp().mean()):.6g}")

    @property
    def command_ranges(self) -> dict[str, list[float]] | None:
        """Ranges of the velocity command that training had reached, by axis [m/s, rad/s]; None without a command."""
        return command_ranges(self.curriculum or {})


def command_ranges(curriculum: Mapping[str, Any]) -> dict[str, list[float]] | None:
    """Return the velocity command's ranges in what `VecEnv.curriculum` returned; None without a command."""
    return (curriculum.get("terms") or {}).get("base_velocity")


def describe_run(config: Mapping[str, Any], numbers: Mapping[str, float]) -> dict[str, Any]:
    """Return our part of a checkpoint: the composed config and the numbers of the last iteration."""
    return {"format": CHECKPOINT_FORMAT, "config": dict(config), "numbers": dict(numbers), "saved_s": time.time()}


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint. Only plain data is accepted: nothing in it is executed.

    Raises:
        UserError: if the file is missing, damaged, not ours, has another format or holds more than plain data, or if
            a part of it is missing or of another kind than expected.
    """
    content, sha256 = _read(path)
    known: Content = checked(Content, content, path)
    hyperparameters, ours = known["hyper_parameters"], known["rlmpc"]
    Contract.from_dict(hyperparameters["contract"], path, "hyper_parameters.contract")
    ranks = known.get(RANKS, {"ranks": []})["ranks"]
    return Checkpoint(
        path=path,
        sha256=sha256,
        iteration=known["epoch"] + 1,
        config=dict(ours["config"]),
        numbers=ours["numbers"],
        hyperparameters=dict(hyperparameters),
        state_dict=known["state_dict"],
        ranks=[checked(RankState, rank, path, f"{RANKS}.ranks.{index}") for index, rank in enumerate(ranks)],
        optimizer_states=known.get("optimizer_states", []),
        content=content,
    )


def _read(path: Path) -> tuple[dict[str, Any], str]:
    """Return the content of a file and its SHA-256."""
    if not path.is_file():
        raise UserError(f"there is no checkpoint '{path}'")
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            content = read_plain(file, path, "a checkpoint")
    except OSError as error:
        raise UserError(f"'{path}' cannot be read: {error.strerror}") from error
    if not isinstance(content, dict) or not isinstance(content.get(SECTION), dict):
        raise UserError(f"'{path}' is not a checkpoint of this project")
    found = content[SECTION].get("format")
    if type(found) is not int or found != CHECKPOINT_FORMAT:
        raise UserError(f"'{path}' has format {shown(found)}; this version reads format {CHECKPOINT_FORMAT}")
    return content, sha256
