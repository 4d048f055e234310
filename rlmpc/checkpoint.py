"""Checkpoints as files: what ours hold beside Lightning's own, how they are found, and how they are read safely."""

from __future__ import annotations

import hashlib
import pickle
import re
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rlmpc.contract import Contract, differences
from rlmpc.errors import UserError
from rlmpc.migrations import FORMAT, SECTION, migrate

RANKS = "RolloutDataModule"
"""Key under which Lightning puts what the ranks carry on: {"ranks": [`RolloutDataModule.rank_state` of each]}."""


@dataclass(frozen=True)
class Checkpoint:
    """A learner that was saved, and the run it comes from; plain data and tensors on the CPU."""

    path: Path
    sha256: str
    """Hash of the file."""
    iteration: int
    """Finished iterations."""
    config: dict[str, Any]
    """The run's composed config, `TrainCfg` as a dict."""
    report: dict[str, float]
    """The numbers of its last iteration."""
    hyperparameters: dict[str, Any]
    """What the LightningModule was made of: `agent`, `contract` and what else it takes."""
    state_dict: dict[str, torch.Tensor]
    ranks: list[dict[str, Any]]
    """What each rank was in the midst of, as `RolloutDataModule.rank_state` gives it."""
    has_optimizer: bool
    """Whether the state of the optimizer is there."""

    @property
    def environment(self) -> dict[str, Any] | None:
        """Curriculum of the first rank's environments."""
        return self.ranks[0].get("env") if self.ranks else None

    @property
    def algorithm(self) -> str:
        """Which learner it is."""
        return self.hyperparameters["agent"]["algorithm"]

    @property
    def command_ranges(self) -> dict[str, list[float]] | None:
        """Ranges of the velocity command that training had come to, by axis [m/s, rad/s]; None without a command."""
        return ((self.environment or {}).get("terms") or {}).get("base_velocity")


def describe_run(config: Mapping[str, Any], report: Mapping[str, float]) -> dict[str, Any]:
    """Our own part of a checkpoint: the composed config and the report of the last iteration."""
    return {"format": FORMAT, "config": dict(config), "report": dict(report)}


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        UserError: as `read_content`, and if parts are missing or of another kind than expected.
    """
    content = read_content(path)
    ours = content[SECTION]
    try:
        checkpoint = Checkpoint(
            path=path,
            sha256=_sha256(path),
            iteration=content["epoch"] + 1,
            config=ours["config"],
            report=ours["report"],
            hyperparameters=content["hyper_parameters"],
            state_dict=content["state_dict"],
            ranks=list(content.get(RANKS, {}).get("ranks", [])),
            has_optimizer=bool(content.get("optimizer_states")),
        )
        _check_contents(checkpoint)
    except KeyError as error:
        raise UserError(f"'{path}' lacks {error}; it is damaged or was changed") from error
    except (TypeError, AttributeError) as error:
        raise UserError(f"'{path}' holds something else than expected ({error}); it was changed") from error
    return checkpoint


def read_content(path: Path) -> dict[str, Any]:
    """All that a checkpoint's file holds, in today's format. Nothing in it is executed: only plain data is accepted.

    Raises:
        UserError: if the file is missing, damaged, not ours, of a later format, or holds anything else.
    """
    if not path.is_file():
        raise UserError(f"there is no checkpoint '{path}'")
    try:
        # torch does not compare checksums: it would load weights with flipped bits.
        is_whole = has_right_checksums(path)
        content = torch.load(path, map_location="cpu", weights_only=True) if is_whole else None
    except zipfile.BadZipFile as error:
        raise UserError(f"'{path}' is not a checkpoint, or only a part of one") from error
    except pickle.UnpicklingError as error:
        raise UserError(f"'{path}' holds more than tensors and plain data, which could run code; refused") from error
    except Exception as error:  # What unpickling damaged data raises is not limited.
        raise UserError(f"'{path}' cannot be read; it is damaged or not a checkpoint") from error
    if not is_whole:
        raise UserError(f"'{path}' is damaged: a checksum in it is wrong")
    if not isinstance(content, dict) or not isinstance(content.get(SECTION), dict):
        raise UserError(f"'{path}' is not a checkpoint of this project")
    try:
        return migrate(content, str(path))
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"'{path}' holds something else than expected ({error}); it was changed") from error


def has_right_checksums(path: Path) -> bool:
    """Whether every part of a checkpoint is what was written.

    Raises:
        zipfile.BadZipFile: if the file is cut off or of another kind.
    """
    with zipfile.ZipFile(path) as file:
        return file.testzip() is None


def load_weights(module: nn.Module, weights: Mapping[str, torch.Tensor], owner: str) -> None:
    """Give `module` its `weights`.

    Raises:
        UserError: with a line for every parameter whose presence or shape differs.
    """
    there = {name: list(values.shape) for name, values in weights.items()}
    here = {name: list(values.shape) for name, values in module.state_dict().items()}
    lines = [line for name in {**there, **here} for line in _shapes_differ(name, there, here)]
    if lines:
        raise UserError(f"the weights in '{owner}' do not fit its networks (there | here):\n  " + "\n  ".join(lines))
    module.load_state_dict(dict(weights))


def find_checkpoint(where: str, root: Path, algorithms: Collection[str] | None = None) -> Path:
    """The file that a user means.

    Args:
        where: a file; a run's folder, which means its newest checkpoint; `latest`, the newest below `root`; `best`,
            that of the newest run with the highest mean return in its last iteration; or `<folder>/best`.
        root: folder of all runs.
        algorithms: agents that `latest` and `best` may mean; None takes any.

    Raises:
        UserError: if there is none.
    """
    path = Path(where)
    if path.is_file():
        return path
    if path.is_dir():
        return _newest(_checkpoints_in(path))
    if where == "latest":
        return _newest_of(root, algorithms)
    if path.name == "best":
        folder = _newest_of(root, algorithms).parent if where == "best" else path.parent
        return max(_checkpoints_in(folder), key=_mean_return)
    raise UserError(f"there is no checkpoint '{where}'; give a file, a run's folder, latest, best or <folder>/best")


def _check_contents(checkpoint: Checkpoint) -> None:
    """Raise a KeyError, TypeError or AttributeError where parts that others read are missing or of another kind."""
    contract = Contract.from_dict(checkpoint.hyperparameters["contract"])
    numbers = (*contract.observations.dims().values(), contract.num_actions)
    if not all(isinstance(number, int) for number in numbers) or not contract.control_dt > 0.0:
        raise TypeError("a width in the contract is no integer, or its control_dt not above 0")
    for part in (checkpoint.config["env"], checkpoint.report, checkpoint.command_ranges or {}, *checkpoint.ranks):
        if not isinstance(part, Mapping):
            raise TypeError("a section is not a mapping")
    values = (checkpoint.algorithm, checkpoint.config["task"]["name"], *checkpoint.state_dict)
    if not all(isinstance(value, str) for value in values):
        raise TypeError("a name is not a string")
    if not all(isinstance(value, torch.Tensor) for value in checkpoint.state_dict.values()):
        raise TypeError("a weight is not a tensor")


def checkpoints_by_age(folder: Path) -> list[Path]:
    """Checkpoints directly in a folder by their iteration, the newest first; other files and links are left out."""
    numbers = {path: re.fullmatch(r"epoch=(\d+)\.ckpt", path.name) for path in folder.glob("epoch=*.ckpt")}
    found = {path: int(match[1]) for path, match in numbers.items() if match is not None and not path.is_symlink()}
    return sorted(found, key=lambda path: found[path], reverse=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _shapes_differ(name: str, there: Mapping[str, list[int]], here: Mapping[str, list[int]]) -> list[str]:
    if name in there and name in here:
        return [] if there[name] == here[name] else [f"{name}: {there[name]} | {here[name]}"]
    return differences(there.get(name, "missing"), here.get(name, "missing"), name)


def _checkpoints_in(folder: Path) -> list[Path]:
    """Files below a folder, links left out."""
    found = [path for path in folder.rglob("*.ckpt") if not path.is_symlink()] if folder.is_dir() else []
    if not found:
        raise UserError(f"there is no checkpoint below '{folder}'")
    return found


def _newest(paths: list[Path]) -> Path:
    return max(paths, key=lambda path: path.stat().st_mtime_ns)


def _newest_of(root: Path, algorithms: Collection[str] | None) -> Path:
    """The newest file below `root` with one of these agents; files that cannot be read are passed over."""
    paths = _checkpoints_in(root)
    if algorithms is None:
        return _newest(paths)
    for path in sorted(paths, key=lambda path: path.stat().st_mtime_ns, reverse=True):
        try:
            if load_checkpoint(path).algorithm in algorithms:
                return path
        except UserError:
            continue
    raise UserError(f"there is no checkpoint of {' or '.join(algorithms)} below '{root}'")


def _mean_return(path: Path) -> float:
    """What the policy earned in its last iteration; of no worth where a teacher acted for it, or in a damaged file."""
    worthless = float("-inf")
    try:
        report = load_checkpoint(path).report
    except UserError:
        return worthless
    return worthless if report.get("dagger/teacher_share", 0.0) > 0.0 else report.get("episode/return", worthless)
