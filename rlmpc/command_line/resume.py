"""The config of a run that goes on: the one it had, with what may be changed of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from rlmpc.algorithms.table import AGENTS
from rlmpc.checkpoint.file import Checkpoint, load_checkpoint
from rlmpc.checkpoint.find import find_checkpoint
from rlmpc.command_line.merge import finish
from rlmpc.config.train import RunCfg, TrainCfg
from rlmpc.contract.differences import differences
from rlmpc.errors import UserError

OWN = ("resume", "resume_allow_partial")
"""Settings of resuming itself, which are not carried on."""

FIXED: dict[str, tuple[str, ...]] = {
    "the checkpoint holds all that was taken from there": ("teacher_ckpt", "student_ckpt"),
    "the random generators go on from where they were": ("seed",),
    "it has an effect at the start of a run only": (
        *("teacher_check_steps", "agent.teacher_check_steps", "agent.stagger_episodes", "agent.init_std"),
    ),
    "the optimizer goes on with the rate that it has": (
        *("agent.learning_rate", "agent.estimator_lr", "agent.history_lr", "agent.critic_lr"),
    ),
    "it shapes the networks, whose weights go on": (
        *("agent.actor_group", "agent.actor_hidden", "agent.critic_group", "agent.critic_hidden"),
        *("agent.activation", "agent.normalize_obs", "agent.memory", "agent.memory_width"),
        *("agent.privileged_group", "agent.privileged_terms", "agent.privileged_hidden", "agent.velocity_term"),
        *("agent.history_terms", "agent.imu_terms", "agent.scan_terms", "agent.scan_hidden", "agent.scan_latent_dim"),
        *("agent.recent_frames", "agent.estimator_frames", "agent.estimator_imu", "agent.estimator_hidden"),
        *("agent.latent_dim", "agent.predictions"),
    ),
}
"""Why something cannot change in a resumed run -> keys that this is true of."""


def compose_resume(overrides: dict[str, Any]) -> TrainCfg:
    """The config of the checkpoint that `resume` names, with the other overrides on top.

    Raises:
        UserError: for an unknown key, a value of another type, a change of what `FIXED` lists, a checkpoint that cannot
            be read, or a run that has reached its last iteration.
    """
    overrides = dict(overrides)
    where = overrides.pop("resume")
    if where is None:
        raise UserError("'resume' is empty; give a checkpoint, a run's folder or latest")
    path = find_checkpoint(str(where), Path(str(overrides.get("run.root", RunCfg().root))))
    checkpoint = load_checkpoint(path)
    _check_names(checkpoint, overrides)
    base = OmegaConf.structured(TrainCfg)
    base.agent = OmegaConf.structured(AGENTS[checkpoint.algorithm])
    saved = {key: value for key, value in checkpoint.config.items() if key not in OWN}
    cfg = finish(base, [OmegaConf.create(saved)], overrides, TrainCfg, f"the config in '{path}'")
    _check_fixed(saved, cfg)
    if cfg.trainer.max_epochs <= checkpoint.iteration:
        raise UserError(
            f"'{path}' has done {checkpoint.iteration} of trainer.max_epochs={cfg.trainer.max_epochs} iterations; "
            "give a larger trainer.max_epochs, which is the total, to go on"
        )
    cfg.resume = str(path)
    if "run.dir" not in overrides:
        cfg.run.dir = None
    return cfg


def changes(checkpoint: Checkpoint, cfg: TrainCfg) -> list[str]:
    """A line `key: there | here` for every setting of a resumed run that is not what it was."""
    there, here = (
        _comparable(config) for config in (checkpoint.config, OmegaConf.to_container(OmegaConf.structured(cfg)))
    )
    return differences(there, here)


def _comparable(config: Any) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in (*OWN, "run")}


def _check_names(checkpoint: Checkpoint, overrides: dict[str, Any]) -> None:
    """Accept stage, task and agent only where they say what the checkpoint says; they are taken out."""
    config, algorithm = checkpoint.config, checkpoint.algorithm
    if algorithm not in AGENTS:
        raise UserError(f"'{checkpoint.path}' holds an unknown agent '{algorithm}'; known: {', '.join(AGENTS)}")
    for key, saved in {"stage": config["stage"], "task": config["task"]["name"], "agent": algorithm}.items():
        given = overrides.pop(key, saved)
        if given != saved:
            raise UserError(f"'{key}' is '{saved}' in '{checkpoint.path}'; with {key}={given} it would be another run")


def _check_fixed(saved: dict[str, Any], cfg: TrainCfg) -> None:
    there, here = OmegaConf.create(saved), OmegaConf.structured(cfg)
    for reason, keys in FIXED.items():
        for key in keys:
            before, now = OmegaConf.select(there, key), OmegaConf.select(here, key)
            if before != now:
                raise UserError(f"'{key}' cannot change from {before} to {now} in a resumed run: {reason}")
