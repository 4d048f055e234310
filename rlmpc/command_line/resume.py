"""The config of a resumed run: the one it had, with the changes that are allowed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rlmpc.algorithms.table import ALGORITHMS
from rlmpc.checkpoint.file import SECTION, Checkpoint
from rlmpc.checkpoint.find import find_checkpoint
from rlmpc.command_line.merge import finish
from rlmpc.config.compare import ABSENT, Change, shown
from rlmpc.config.overrides import flatten
from rlmpc.config.setting import settings_of
from rlmpc.config.train import RunCfg, TrainCfg
from rlmpc.contract.schema import misfit
from rlmpc.errors import UserError

OWN = ("resume", "resume_allow_partial", "sweep")
"""Settings of how a command starts, which are not taken from the checkpoint."""


class FinishedError(UserError):
    """The run has done all its iterations."""


def compose_resume(overrides: dict[str, Any]) -> tuple[TrainCfg, Checkpoint]:
    """Return the config in the checkpoint that `resume` names, with the other overrides on top, and that checkpoint.

    Raises:
        UserError: if a key is unknown, a value is not accepted, a fixed setting would change, or the checkpoint cannot
            be read.
        FinishedError: if the run has reached its last iteration.
    """
    overrides = dict(overrides)
    where = overrides.pop("resume")
    if where is None:
        raise UserError("'resume' is empty; give a checkpoint, a run's folder or latest")
    for key in ("init_ckpt", "config"):
        if overrides.get(key) is not None:
            raise UserError(f"'{key}' starts a new run and 'resume' goes on with one that there is; give one of them")
    root = Path(overrides.get("run.root", RunCfg().root))
    checkpoint = find_checkpoint(where, root)
    path = checkpoint.path
    if checkpoint.published_from is not None:
        raise UserError(
            f"'{path}' is a published policy, without the optimizer and the environments that a run goes on with; "
            f"start a new run from its weights with init_ckpt={path}"
        )
    _check_names(checkpoint, overrides)
    saved = {key: value for key, value in checkpoint.config.items() if key not in OWN}
    _drop_origin(saved, overrides, root)

    def composed(given: dict[str, Any], source: str) -> TrainCfg:
        base = TrainCfg(agent=ALGORITHMS[checkpoint.algorithm].settings())
        return finish(base, [saved], given, source, is_typed=False, taken_over=flatten(saved))

    try:
        composed({}, "its config")
    except UserError as error:
        raise UserError(f"'{path}' cannot be resumed: {error}") from error
    cfg = composed(overrides, f"the config in '{path}'")
    check_fixed(saved, cfg, path)
    if cfg.trainer.max_epochs <= checkpoint.iteration:
        raise FinishedError(
            f"'{path}' has done {checkpoint.iteration} of trainer.max_epochs={cfg.trainer.max_epochs} iterations; "
            "give a larger trainer.max_epochs, which is the total, to go on"
        )
    cfg.resume = str(path)
    if "run.dir" not in overrides:
        cfg.run.dir = None
    return cfg, checkpoint


def changes(checkpoint: Checkpoint, cfg: TrainCfg, env_changes: Sequence[Change]) -> list[str]:
    """Return a line `key: there | here` for every setting that a resumed run changes, with its whole values.

    Args:
        checkpoint: of the run.
        cfg: the config of the run that goes on.
        env_changes: what changes in the config of the environment.
    """
    there, here = (
        flatten({key: value for key, value in config.items() if key not in (*OWN, "run", "env")})
        for config in (checkpoint.config, asdict(cfg))
    )
    keys = [key for key in here if there.get(key, ABSENT) != here[key]]
    lines = [f"{key}: {there.get(key, 'new since')} | {here[key]}" for key in keys]
    return lines + [f"env.{change.path}: {shown(change.there)} | {shown(change.here)}" for change in env_changes]


def _drop_origin(saved: dict[str, Any], overrides: dict[str, Any], root: Path) -> None:
    """Drop the checkpoint that the run started from, if it is given again; it cannot change."""
    for key in {f"{algorithm.starts_from}_ckpt" for algorithm in ALGORITHMS.values()} & overrides.keys():
        if saved.get(key) is not None and find_checkpoint(overrides[key], root).path.samefile(saved[key]):
            del overrides[key]


def _check_names(checkpoint: Checkpoint, overrides: dict[str, Any]) -> None:
    """Refuse a stage, task or agent other than the checkpoint's, and remove them from the overrides."""
    config, algorithm, path = checkpoint.config, checkpoint.algorithm, checkpoint.path
    if algorithm not in ALGORITHMS:
        raise UserError(f"'{path}' holds an unknown agent '{algorithm}'; known: {', '.join(ALGORITHMS)}")
    if (composed := config["agent"]["algorithm"]) != algorithm:
        field = f"{SECTION}.config.agent.algorithm"
        raise misfit(path, field, composed, f"it is {algorithm} in hyper_parameters")
    check_same({"stage": config["stage"], "task": config["task"]["name"], "agent": algorithm}, overrides, path)


def check_same(names: Mapping[str, str], overrides: dict[str, Any], path: Path) -> None:
    """Refuse a stage, task or agent other than those in a file, and remove them from the overrides.

    Raises:
        UserError: if one is another.
    """
    for key, saved in names.items():
        given = overrides.pop(key, saved)
        if given != saved:
            raise UserError(f"'{key}' is '{saved}' in '{path}'; with {key}={given} it would be another run")


def check_fixed(saved: dict[str, Any], cfg: TrainCfg, path: Path) -> None:
    """Refuse a config that differs from the saved one in a fixed setting.

    A setting that is new since the run was saved must keep its default.

    Args:
        saved: the saved config.
        cfg: the config of the run that goes on.
        path: of the checkpoint, for messages.

    Raises:
        UserError: if one differs, with both values and the reason why it cannot change.
    """
    defaults = asdict(TrainCfg(agent=type(cfg.agent)()))
    for key, now, said, _ in settings_of(cfg):
        before = _at(saved, key)
        if said.why_fixed and now != (_at(defaults, key) if before is ABSENT else before):
            source = f"(it is new since '{path}' was written)" if before is ABSENT else f"from {before}"
            raise UserError(f"'{key}' cannot change {source} to {now} in a resumed run: {said.why_fixed}")


def _at(tree: Any, key: str) -> Any:
    """Return what is at a dotted key of nested mappings; `ABSENT` if nothing is."""
    for name in key.split("."):
        if not isinstance(tree, Mapping) or name not in tree:
            return ABSENT
        tree = tree[name]
    return tree
