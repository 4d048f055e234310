"""What the schema's types cannot say; every check runs before anything is started or written."""

from __future__ import annotations

from typing import Any

from rlmpc.command_line.agent_checks import check_agent
from rlmpc.config.play import PlayCfg
from rlmpc.config.train import TrainCfg
from rlmpc.errors import UserError, nearest
from rlmpc.evaluation.metrics import check_metrics

LOGGERS = ("tensorboard", "csv")
ENV_STATES = ("full", "curriculum")
BACKENDS = (None, "mujoco")
MAX_FILMED = 4
MAX_SEED = 2**32 - 1
"""That numpy's generator takes, and with it Lightning's `seed_everything`."""
NEED_POLICY = ("backend", "video", "export", "terrains", "levels", "command", "episodes", "metrics", "run.dir")
"""Settings of `play.py` that mean nothing without a checkpoint."""
FIXED_IN_REPLAY = ("num_envs", "env", "steps")
"""Settings of `play.py` that a replay takes from its file."""


def check_train(cfg: TrainCfg) -> None:
    """Refuse a training config that cannot run.

    Raises:
        UserError: with what was given and what is accepted.
    """
    for key in ("max_epochs", "devices", "num_nodes", "stop_timeout_s"):
        _at_least(1, f"trainer.{key}", getattr(cfg.trainer, key))
    for key in ("checkpoint.every", "console.every"):
        _at_least(1, key, _get(cfg, key))
    for key in ("num_envs", "checkpoint.keep_last"):
        if _get(cfg, key) is not None:
            _at_least(1, key, _get(cfg, key))
    _at_least(0, "teacher_check_steps", cfg.teacher_check_steps)
    _check_seed(cfg.seed)
    _one_of(ENV_STATES, "checkpoint.env_state", cfg.checkpoint.env_state)
    for name in cfg.logger:
        if name not in LOGGERS:
            raise UserError(f"unknown logger '{name}'; accepted: {', '.join(LOGGERS)}{nearest(name, LOGGERS)}")
    for key in ("faults.max_dumps", "faults.max_skipped_updates"):
        _at_least(1, key, _get(cfg, key))
    if not 0.0 <= cfg.faults.max_env_share <= 1.0:
        raise UserError(f"'faults.max_env_share' must lie between 0 and 1, not {cfg.faults.max_env_share}")
    check_agent(cfg.agent)


def check_play(cfg: PlayCfg) -> None:
    """Refuse a play config that cannot run; see `check_train`."""
    _check_seed(cfg.seed)
    for key in ("steps", "num_envs", "episodes"):
        if getattr(cfg, key) is not None:
            _at_least(1, key, getattr(cfg, key))
    if not 1 <= cfg.robots <= MAX_FILMED:
        raise UserError(f"'robots' must lie between 1 and {MAX_FILMED}, not {cfg.robots}")
    if cfg.backend not in BACKENDS:
        names = ["null" if name is None else name for name in BACKENDS]
        raise UserError(f"unknown backend '{cfg.backend}'; accepted: {', '.join(names)}{nearest(cfg.backend, names)}")
    check_metrics(cfg.metrics or ())
    if cfg.ckpt is None:
        for key in NEED_POLICY:
            if _get(cfg, key) is not None and _get(cfg, key) is not False:
                raise UserError(f"'{key}' needs a policy: ckpt=PATH")
    if cfg.replay is not None:
        for key in FIXED_IN_REPLAY:
            if getattr(cfg, key):
                raise UserError(f"'{key}' has no effect on a replay, which takes it from its file")


def _get(cfg: Any, key: str) -> Any:
    for name in key.split("."):
        cfg = getattr(cfg, name)
    return cfg


def _check_seed(seed: int) -> None:
    if not 0 <= seed <= MAX_SEED:
        raise UserError(f"'seed' must lie between 0 and {MAX_SEED}, not {seed}")


def _one_of(accepted: tuple[str, ...], key: str, value: str) -> None:
    if value not in accepted:
        raise UserError(f"'{key}' must be one of {', '.join(accepted)}, not '{value}'{nearest(value, accepted)}")


def _at_least(least: int, key: str, value: float) -> None:
    if value < least:
        raise UserError(f"'{key}' must be at least {least}, not {value}")
