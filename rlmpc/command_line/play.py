"""The config of `play.py`, from the task that is played and `key=value` arguments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlmpc.checkpoint.fault_file import FaultFile, read_fault
from rlmpc.checkpoint.file import Checkpoint
from rlmpc.checkpoint.find import find_checkpoint
from rlmpc.checkpoint.published import check_unpublished
from rlmpc.command_line.arguments import read_play
from rlmpc.command_line.files import SOURCE, choices, load_choice
from rlmpc.command_line.merge import finish
from rlmpc.config.installed import is_installed
from rlmpc.config.play import PlayCfg
from rlmpc.config.train import RunCfg
from rlmpc.errors import UserError, nearest
from rlmpc.evaluation.metrics import check_metrics

UNTRAINED = ("zero", "random")
"""Policies that need no checkpoint."""
EXPORTED = {"name": "exported", "simulator": "mujoco", "default_agent": ""}
"""Task of an exported policy. The export holds all that MuJoCo needs, so no file under `conf/` describes it."""


def compose_play(arguments: Sequence[str]) -> tuple[PlayCfg, Checkpoint | FaultFile | None]:
    """Compose the config of `play.py`: schema, then the task (checkpoint's, replay's or named), then the arguments.

    Returns:
        The config, and the checkpoint or the recorded fault it names; None for an exported policy or without one.

    Raises:
        UserError: as `compose_train`, and if there is neither a checkpoint nor a task with a policy.
    """
    overrides = read_play(arguments)
    opened, task = _opened(overrides)
    cfg = finish(PlayCfg(), [{"task": task}], overrides, SOURCE)
    check_metrics(cfg.metrics or ())
    if cfg.ckpt is None and cfg.run.dir is not None:
        raise UserError("'run.dir' needs ckpt=PATH")
    if cfg.live:
        _check_live(cfg)
    elif cfg.beside is not None:
        raise UserError("'beside' has no effect without live=true")
    if cfg.publish is not None:
        if not cfg.evaluate or opened is None:
            raise UserError("'publish' needs a checkpoint and its evaluation; leave evaluate=false and exports out")
        check_unpublished(Path(cfg.publish))
    return cfg, opened


def _check_live(cfg: PlayCfg) -> None:
    """Refuse live play without its library, or together with what writes files."""
    if not is_installed("viser"):
        raise UserError("live=true needs viser, which is not installed: `pip install -e '.[live]'` in the clone")
    others = ("video", "export", "publish", "privileged", "metrics", "episodes")
    if other := next((key for key in others if getattr(cfg, key)), None):
        raise UserError(f"'{other}' has no effect with live=true, which only shows a page")
    if cfg.run.dir is not None:
        raise UserError("'run.dir' has no effect with live=true, which writes nothing")


def _opened(overrides: dict[str, Any]) -> tuple[Checkpoint | FaultFile | None, Any]:
    """Open what the arguments name; return it and its task. A checkpoint's path replaces what the user wrote."""
    name, where, policy = overrides.pop("task", None), overrides.get("ckpt"), overrides.get("policy")
    if overrides.get("replay") is not None:
        if name is not None or where is not None or policy is not None:
            raise UserError("a replay knows its task and needs no policy; give it without task=, ckpt= and policy=")
        path = Path(overrides["replay"])
        fault = read_fault(path)
        return fault, load_choice("task", fault.config["task"]["name"], path)["task"]
    if where is None:
        _check_untrained(name, policy)
        return None, load_choice("task", name)["task"]
    if name is not None or policy is not None:
        raise UserError("a checkpoint knows its task and its policy; give ckpt=PATH without task= and policy=")
    if is_exported(where):
        return None, EXPORTED
    checkpoint = find_checkpoint(where, Path(overrides.get("run.root", RunCfg().root)))
    overrides["ckpt"] = str(checkpoint.path)
    return checkpoint, load_choice("task", checkpoint.config["task"]["name"], checkpoint.path)["task"]


def _check_untrained(task: Any, policy: Any) -> None:
    if task is None:
        tasks = ", ".join(choices("task"))
        raise UserError(f"play.py needs ckpt=PATH, or policy=zero or policy=random and task=<name>, one of {tasks}")
    if policy not in UNTRAINED:
        given = "" if policy is None else f"unknown policy '{policy}'; "
        hint = nearest(str(policy), UNTRAINED)
        raise UserError(f"{given}task={task} needs policy=zero or policy=random, or give ckpt=PATH alone{hint}")


def is_exported(path: str) -> bool:
    """Return whether a path names an exported policy: a file of one, or its folder."""
    return path.endswith((".onnx", ".json")) or (Path(path) / "policy.onnx").is_file()
