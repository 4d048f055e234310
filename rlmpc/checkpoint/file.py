"""Checkpoint files: what we add to Lightning's, and how they are read safely."""

from __future__ import annotations

import hashlib
import pickle
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from rlmpc.contract.contract import Contract
from rlmpc.errors import UserError

if TYPE_CHECKING:
    import torch

CHECKPOINT_FORMAT = 3
"""Version of what we add to a Lightning checkpoint; files of another version are refused."""

SECTION = "rlmpc"
"""Key of our part of a Lightning checkpoint: `format`, the run's `config`, the `numbers` of the last iteration, and the
time at which it was `saved_s` [s since 1970]."""

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
    has_optimizer: bool
    """Whether the file holds the state of the optimizer."""
    content: dict[str, Any] = field(default_factory=dict, repr=False)
    """The whole content of the file, as Lightning restores it."""

    @property
    def curriculum(self) -> dict[str, Any] | None:
        """Curriculum of the first rank's environments."""
        return self.ranks[0].get("curriculum") if self.ranks else None

    @property
    def algorithm(self) -> str:
        """Name of the learner's algorithm."""
        return self.hyperparameters["agent"]["algorithm"]

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
            parts of it are missing or of another kind than expected.
    """
    content, sha256 = _read(path)
    ours = content[SECTION]
    try:
        checkpoint = Checkpoint(
            path=path,
            sha256=sha256,
            iteration=content["epoch"] + 1,
            config=ours["config"],
            numbers=ours["numbers"],
            hyperparameters=content["hyper_parameters"],
            state_dict=content["state_dict"],
            ranks=list(content.get(RANKS, {}).get("ranks", [])),
            has_optimizer=bool(content.get("optimizer_states")),
            content=content,
        )
        _check_contents(checkpoint)
    except KeyError as error:
        raise UserError(f"'{path}' lacks {error}; it is damaged or was changed") from error
    except (TypeError, AttributeError) as error:
        raise UserError(f"'{path}' holds something else than expected ({error}); it was changed") from error
    return checkpoint


def has_right_checksums(file: Path | IO[bytes]) -> bool:
    """Return whether the checksum of every part of a checkpoint is right.

    Raises:
        zipfile.BadZipFile: if the file is cut off or of another kind.
    """
    with zipfile.ZipFile(file) as parts:
        return parts.testzip() is None


def load_plain(file: IO[bytes]) -> Any:
    """Load what torch wrote into a file onto the CPU; return None if a checksum in it is wrong.

    Raises:
        zipfile.BadZipFile: if the file is cut off or of another kind.
        pickle.UnpicklingError: if it holds more than tensors and plain data.
    """
    # The import takes seconds; a mistyped name should be reported before.
    import torch

    # torch does not compare checksums: it would load weights with flipped bits.
    if not has_right_checksums(file):
        return None
    file.seek(0)
    return torch.load(file, map_location="cpu", weights_only=True)


def _read(path: Path) -> tuple[dict[str, Any], str]:
    """Return the content of a file and its SHA-256."""
    if not path.is_file():
        raise UserError(f"there is no checkpoint '{path}'")
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            content = load_plain(file)
    except zipfile.BadZipFile as error:
        raise UserError(f"'{path}' is not a checkpoint, or only a part of one") from error
    except pickle.UnpicklingError as error:
        raise UserError(f"'{path}' holds more than tensors and plain data, which could run code; refused") from error
    except Exception as error:  # Unpickling damaged data can raise anything.
        raise UserError(f"'{path}' cannot be read; it is damaged or not a checkpoint") from error
    if content is None:
        raise UserError(f"'{path}' is damaged: a checksum in it is wrong")
    if not isinstance(content, dict) or not isinstance(content.get(SECTION), dict):
        raise UserError(f"'{path}' is not a checkpoint of this project")
    if content[SECTION].get("format") != CHECKPOINT_FORMAT:
        raise UserError(
            f"'{path}' has format {content[SECTION].get('format')}; this version reads format {CHECKPOINT_FORMAT}"
        )
    return content, sha256


def _check_contents(checkpoint: Checkpoint) -> None:
    """Raise a KeyError, TypeError or AttributeError if a part that is read later is missing or of another kind."""
    import torch

    contract = Contract.from_dict(checkpoint.hyperparameters["contract"])
    numbers = (*contract.observations.dims().values(), contract.num_actions)
    if not all(isinstance(number, int) for number in numbers) or not contract.control_dt > 0.0:
        raise TypeError("a width in the contract is no integer, or its control_dt not above 0")
    for part in (checkpoint.config["env"], checkpoint.numbers, checkpoint.command_ranges or {}, *checkpoint.ranks):
        if not isinstance(part, Mapping):
            raise TypeError("a section is not a mapping")
    values = (checkpoint.algorithm, checkpoint.config["task"]["name"], *checkpoint.state_dict)
    if not all(isinstance(value, str) for value in values):
        raise TypeError("a name is not a string")
    if not all(isinstance(value, torch.Tensor) for value in checkpoint.state_dict.values()):
        raise TypeError("a weight is not a tensor")
