"""What the schema's types cannot say; every check runs before anything is started or written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rlmpc.config.schema import AgentCfg, PlayCfg, TrainCfg
from rlmpc.errors import UserError, nearest
from rlmpc.networks.mlp import ACTIVATIONS

LOGGERS = ("tensorboard", "csv")


def check_train(cfg: TrainCfg) -> None:
    """Refuse a training config that cannot run.

    Raises:
        UserError: with what was given and what is accepted.
    """
    for key in ("trainer.max_epochs", "trainer.devices", "trainer.num_nodes", "checkpoint.every", "console.every"):
        _at_least(1, key, _get(cfg, key))
    for key in ("num_envs", "checkpoint.keep_last"):
        if _get(cfg, key) is not None:
            _at_least(1, key, _get(cfg, key))
    _at_least(0, "seed", cfg.seed)
    for name in cfg.logger:
        if name not in LOGGERS:
            raise UserError(f"unknown logger '{name}'; accepted: {', '.join(LOGGERS)}{nearest(name, LOGGERS)}")
    check_agent(cfg.agent)


def check_agent(agent: AgentCfg) -> None:
    """Refuse networks and learning numbers that make no sense; see `check_train`."""
    for key in ("num_steps", "num_epochs", "num_minibatches"):
        _at_least(1, f"agent.{key}", getattr(agent, key))
    for key in (
        "init_std",
        "min_std",
        "max_std",
        "learning_rate",
        "min_lr",
        "max_lr",
        "desired_kl",
        "clip",
        "max_grad_norm",
    ):
        if not getattr(agent, key) > 0.0:
            raise UserError(f"'agent.{key}' must be above 0, not {getattr(agent, key)}")
    for key in ("gamma", "lam"):
        if not 0.0 <= getattr(agent, key) <= 1.0:
            raise UserError(f"'agent.{key}' must lie in [0, 1], not {getattr(agent, key)}")
    for key in ("entropy_coef", "value_coef"):
        if not getattr(agent, key) >= 0.0:
            raise UserError(f"'agent.{key}' must not be negative, not {getattr(agent, key)}")
    for low, middle, high in (("min_std", "init_std", "max_std"), ("min_lr", "learning_rate", "max_lr")):
        if not getattr(agent, low) <= getattr(agent, middle) <= getattr(agent, high):
            raise UserError(
                f"'agent.{middle}' must lie between 'agent.{low}' and 'agent.{high}', not {getattr(agent, middle)}"
            )
    for key in ("actor_hidden", "critic_hidden"):
        if any(width < 1 for width in getattr(agent, key)):
            raise UserError(f"'agent.{key}' must list layer widths of at least 1, not {getattr(agent, key)}")
    if agent.activation not in ACTIVATIONS:
        hint = nearest(agent.activation, ACTIVATIONS)
        raise UserError(f"unknown 'agent.activation' '{agent.activation}'; accepted: {', '.join(ACTIVATIONS)}{hint}")


def check_play(cfg: PlayCfg) -> None:
    """Refuse a play config that cannot run; see `check_train`."""
    _at_least(1, "steps", cfg.steps)
    _at_least(0, "seed", cfg.seed)
    if cfg.num_envs is not None:
        _at_least(1, "num_envs", cfg.num_envs)


def check_minibatches(num_envs: int, agent: AgentCfg) -> None:
    """Refuse a rollout that cannot be cut into equal minibatches; see `check_train`."""
    size = num_envs * agent.num_steps
    if size % agent.num_minibatches:
        raise UserError(
            f"num_envs x agent.num_steps = {num_envs} x {agent.num_steps} = {size} is not divisible into "
            f"agent.num_minibatches = {agent.num_minibatches}"
        )


def check_groups(agent: AgentCfg, groups: list[str]) -> None:
    """Refuse an agent that needs an observation group the task does not have; see `check_train`."""
    for key in ("actor_group", "critic_group"):
        group = getattr(agent, key)
        if group not in groups:
            hint = nearest(group, groups)
            raise UserError(f"'agent.{key}' names the group '{group}', but the task has {', '.join(groups)}{hint}")


def check_new_folder(folder: Path) -> None:
    """Refuse a run folder that holds something already or cannot be made; see `check_train`. Nothing is created."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"the run folder '{folder}' is a file")
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"the run folder '{folder}' is not empty; nothing is overwritten, choose another run.dir")
    parent = folder.absolute()
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise UserError(f"the run folder '{folder}' cannot be written: no permission in '{parent}'")


def _get(cfg: Any, key: str) -> Any:
    for name in key.split("."):
        cfg = getattr(cfg, name)
    return cfg


def _at_least(least: int, key: str, value: int) -> None:
    if value < least:
        raise UserError(f"'{key}' must be at least {least}, not {value}")
