"""The config of a resumed run: the one it had, with the changes that are allowed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rlmpc.algorithms.table import ALGORITHMS
from rlmpc.checkpoint.file import Checkpoint
from rlmpc.checkpoint.find import find_checkpoint
from rlmpc.command_line.merge import finish
from rlmpc.config.setting import settings_of
from rlmpc.config.train import RunCfg, TrainCfg
from rlmpc.contract.differences import differences
from rlmpc.errors import UserError

OWN = ("resume", "resume_allow_partial")
"""Settings of resuming itself, which are not taken from the checkpoint."""


def compose_resume(overrides: dict[str, Any]) -> tuple[TrainCfg, Checkpoint]:
    """Return the config in the checkpoint that `resume` names, with the other overrides on top, and that checkpoint.

    Raises:
        UserError: if a key is unknown, a value is not accepted, a fixed setting would change, the checkpoint cannot be
        read, or the run has reached its last iteration.
    """
    overrides = dict(overrides)
    where = overrides.pop("resume")
    if where is None:
        raise UserError("'resume' is empty; give a checkpoint, a run's folder or latest")
    checkpoint = find_checkpoint(where, Path(overrides.get("run.root", RunCfg().root)))
    path = checkpoint.path
    _check_names(checkpoint, overrides)
    base = TrainCfg(agent=ALGORITHMS[checkpoint.algorithm].settings())
    saved = {key: value for key, value in checkpoint.config.items() if key not in OWN}
    cfg = finish(base, [saved], overrides, f"the config in '{path}'", is_typed=False)
    check_fixed(saved, cfg)
    if cfg.trainer.max_epochs <= checkpoint.iteration:
        raise UserError(
            f"'{path}' has done {checkpoint.iteration} of trainer.max_epochs={cfg.trainer.max_epochs} iterations; "
            "give a larger trainer.max_epochs, which is the total, to go on"
        )
    cfg.resume = str(path)
    if "run.dir" not in overrides:
        cfg.run.dir = None
    return cfg, checkpoint


def changes(checkpoint: Checkpoint, cfg: TrainCfg) -> list[str]:
    """Return a line `key: there | here` for every setting that a resumed run changes."""
    there, here = (_comparable(config) for config in (checkpoint.config, asdict(cfg)))
    return differences(there, here)


def _comparable(config: Any) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in (*OWN, "run")}


def _check_names(checkpoint: Checkpoint, overrides: dict[str, Any]) -> None:
    """Refuse a stage, task or agent other than the checkpoint's, and remove them from the overrides."""
    config, algorithm = checkpoint.config, checkpoint.algorithm
    if algorithm not in ALGORITHMS:
        raise UserError(f"'{checkpoint.path}' holds an unknown agent '{algorithm}'; known: {', '.join(ALGORITHMS)}")
    for key, saved in {"stage": config["stage"], "task": config["task"]["name"], "agent": algorithm}.items():
        given = overrides.pop(key, saved)
        if given != saved:
            raise UserError(f"'{key}' is '{saved}' in '{checkpoint.path}'; with {key}={given} it would be another run")


def check_fixed(saved: dict[str, Any], cfg: TrainCfg) -> None:
    """Refuse a config that differs from the saved one in a fixed setting.

    Raises:
        UserError: if one differs, with both values and the reason why it cannot change.
    """
    for key, now, said, _ in settings_of(cfg):
        before: Any = saved
        for name in key.split("."):
            before = before.get(name) if isinstance(before, Mapping) else None
        if said.why_fixed and before != now:
            raise UserError(f"'{key}' cannot change from {before} to {now} in a resumed run: {said.why_fixed}")
