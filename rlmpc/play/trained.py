"""Plays a trained policy in the environment of its task."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from rich.console import Console

from rlmpc.algorithms.restore import check_checkpoint, restore_policy
from rlmpc.checkpoint.file import Checkpoint
from rlmpc.config.play import PlayCfg
from rlmpc.contract.contract import Contract
from rlmpc.contract.episode import Trial
from rlmpc.envs.make import env_config, make_measurable_env, with_cameras
from rlmpc.envs.vec_env import FilmableEnv, MeasurableEnv
from rlmpc.errors import UserError
from rlmpc.evaluation.evaluate import evaluate
from rlmpc.evaluation.grid import make_trials
from rlmpc.evaluation.mismatch import command_warnings, config_differences
from rlmpc.evaluation.video import film
from rlmpc.export.record import NUM_OBSERVATIONS, record_observations
from rlmpc.export.write import export_policy
from rlmpc.networks.policy import GaussianPolicy
from rlmpc.play.results import FILM_STEPS, describe, describe_export, film_trials, report_episodes, results_folder
from rlmpc.run.device import resolve_device


def play_trained(cfg: PlayCfg, checkpoint: Checkpoint, console: Console) -> None:
    """Evaluate, film and export the policy of a checkpoint, as the config asks.

    Raises:
        UserError: if the policy does not fit the environment, or something asked for does not exist or cannot be
            written.
    """
    with results_folder(cfg, checkpoint.path) as folder:
        _play(cfg, checkpoint, folder, console)


def _play(cfg: PlayCfg, checkpoint: Checkpoint, folder: Path, console: Console) -> None:
    policy = _policy(cfg, checkpoint)
    device = resolve_device(cfg.device)
    env_cfg = _play_config(cfg, checkpoint)
    film_cfg = with_cameras(cfg.task, _play_config(cfg, checkpoint), cfg.robots) if cfg.video else None
    console.print(f"{checkpoint.algorithm} of iteration {checkpoint.iteration} for {cfg.task.name}: {checkpoint.path}")
    for line in config_differences(env_config(cfg.task, checkpoint.config["env"]), env_cfg):
        console.print(f"  {line}")
    if cfg.evaluate or cfg.export:
        num_envs = cfg.num_envs or (2016 if device.type == "cuda" else 63)
        env = make_measurable_env(cfg.task, env_cfg, num_envs, device, cfg.seed, console.print)
        try:
            check_checkpoint(checkpoint, env.contract, policy.acting_groups)
            # The request is checked before anything is written.
            trials = _trials(cfg, env)
            policy.to(env.device)
            if cfg.export:
                _export(policy, env, checkpoint, folder / "export", console)
            if cfg.evaluate:
                _evaluate(cfg, policy, env, trials, checkpoint, folder, console)
        finally:
            env.close()
    if film_cfg is not None:
        _film(cfg, policy, film_cfg, device, checkpoint, folder, console)


def _policy(cfg: PlayCfg, checkpoint: Checkpoint) -> GaussianPolicy:
    """Restore the policy, to act as on a robot or, if `privileged`, as in simulation.

    Raises:
        UserError: if that is the same.
    """
    policy = restore_policy(checkpoint)
    sensed = policy.acting_groups
    if cfg.privileged and policy.in_simulation().acting_groups == sensed:
        raise UserError(f"'privileged' has no effect: {checkpoint.algorithm} acts on a robot as in simulation")
    return policy


def _play_config(cfg: PlayCfg, checkpoint: Checkpoint) -> Any:
    """Return the environment's config in play mode, with episodes of `steps` control steps if that is given."""
    env_cfg = env_config(cfg.task, checkpoint.config["env"], cfg.env, checkpoint.path, cfg.disturbed)
    if cfg.steps is not None:
        env_cfg.episode_length_s = cfg.steps * Contract.from_dict(checkpoint.hyperparameters["contract"]).control_dt
    return env_cfg


def _export(policy: GaussianPolicy, env: MeasurableEnv, checkpoint: Checkpoint, folder: Path, console: Console) -> None:
    observations = record_observations(env, policy, NUM_OBSERVATIONS)
    path = export_policy(policy, folder, describe_export(checkpoint), observations)
    rows = sum(len(next(iter(step.values()))) for step in observations)
    console.print(f"exported to {path}; onnxruntime acts as the policy does on {rows} recorded observations")


def _trials(cfg: PlayCfg, env: MeasurableEnv) -> list[Trial]:
    episodes = cfg.episodes or (32 if env.device.type == "cuda" else 1)
    commands = None if cfg.command is None else [cfg.command]
    return make_trials(env, cfg.terrains, cfg.levels, commands, episodes)


def _evaluate(
    cfg: PlayCfg,
    policy: GaussianPolicy,
    env: MeasurableEnv,
    trials: list[Trial],
    checkpoint: Checkpoint,
    folder: Path,
    console: Console,
) -> None:
    for line in command_warnings(trials, env.command_names, checkpoint.command_ranges):
        console.print(line)
    episodes = evaluate(env, policy, trials, console.print)
    report_episodes(cfg, folder, episodes, describe(checkpoint), console)
    if cfg.publish is not None:
        # Its card says whether MuJoCo serves the policy, which nothing else here needs.
        from rlmpc.play.publish import publish

        publish(cfg, checkpoint, policy, env.command_names, episodes, console)


def _film(
    cfg: PlayCfg,
    policy: GaussianPolicy,
    env_cfg: Any,
    device: torch.device,
    checkpoint: Checkpoint,
    folder: Path,
    console: Console,
) -> None:
    env = make_measurable_env(cfg.task, env_cfg, cfg.robots, device, cfg.seed, console.print)
    try:
        check_checkpoint(checkpoint, env.contract, policy.acting_groups)
        trials = film_trials(cfg, env)
        make_trials(env, [trial.terrain for trial in trials], [trials[0].level], [trials[0].command])
        env.place(trials)
        path = film(cast(FilmableEnv, env), policy.to(env.device), folder / "video.mp4", cfg.steps or FILM_STEPS)
    finally:
        env.close()
    shown = ", ".join(trial.terrain for trial in trials)
    console.print(f"video of {shown} at level {trials[0].level}, command {list(trials[0].command)}: {path}")
