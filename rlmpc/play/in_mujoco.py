"""Drives an exported policy in plain MuJoCo: no Isaac Lab on this path."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from rlmpc.algorithms.restore import restore_policy
from rlmpc.checkpoint.file import load_checkpoint
from rlmpc.command_line.compose import is_deployment
from rlmpc.config.play import PlayCfg
from rlmpc.errors import UserError
from rlmpc.evaluation.grid import make_trials
from rlmpc.evaluation.mismatch import command_warnings
from rlmpc.export.deployment import Deployment, load_deployment, read_contract
from rlmpc.export.record import plausible_observations
from rlmpc.export.write import export_policy
from rlmpc.play.results import FILM_STEPS, describe_export, film_trials, report_episodes, results_folder
from rlmpc.run.folder import check_new_folder
from rlmpc.sim2sim.evaluate import evaluate
from rlmpc.sim2sim.ground import NUM_LEVELS, TERRAINS
from rlmpc.sim2sim.walker import check_served

EPISODE_LENGTH_S = 12.0
NUM_OBSERVATIONS = 1000


class MujocoGround(NamedTuple):
    """What there is to walk on."""

    terrains: tuple[str, ...] = TERRAINS
    num_levels: int = NUM_LEVELS
    command_names: tuple[str, ...] = ("lin_vel_x", "lin_vel_y", "ang_vel_z")


def play_in_mujoco(cfg: PlayCfg, where: Path, console: Console) -> None:
    """Evaluate and film an exported policy; a checkpoint is exported first.

    Args:
        cfg: what is asked for.
        where: a checkpoint, or an exported policy.
        console: where to print.

    Raises:
        UserError: if the policy needs what MuJoCo does not serve, or something asked for does not exist or cannot be
            written.
    """
    _check_effects(cfg, where)
    folder = results_folder(cfg, where)
    check_new_folder(folder)
    ground = MujocoGround()
    commands = None if cfg.command is None else [cfg.command]
    trials = make_trials(ground, cfg.terrains, cfg.levels, commands, cfg.episodes or 1)
    deployment, header = _deployment(where, folder, console)
    dt = deployment.contract.control_dt
    for line in command_warnings(trials, ground.command_names, deployment.command_ranges):
        console.print(line)
    if cfg.evaluate:
        length_s = EPISODE_LENGTH_S if cfg.steps is None else cfg.steps * dt
        console.print(f"{len(trials)} episodes of {length_s:g} s in MuJoCo")
        report_episodes(cfg, folder, evaluate(deployment, trials, cfg.seed, length_s), header, console)
    if cfg.video:
        # Without a renderer nothing else of this module fails.
        from rlmpc.sim2sim.video import film

        trial = film_trials(cfg, ground)[-1]
        path = film(deployment, trial, folder / "video.mp4", cfg.steps or FILM_STEPS, cfg.seed)
        console.print(f"video of {trial.terrain} at level {trial.level}, command {list(trial.command)}: {path}")


def _check_effects(cfg: PlayCfg, where: Path) -> None:
    """Refuse what would silently do nothing."""
    for key in ("env", "num_envs"):
        if getattr(cfg, key):
            raise UserError(f"'{key}' has no effect in MuJoCo, where one robot walks at a time")
    if cfg.device not in ("auto", "cpu"):
        raise UserError(f"MuJoCo runs on the CPU, not on device '{cfg.device}'")
    if cfg.export and is_deployment(str(where)):
        raise UserError(f"'{where}' is exported already; give its checkpoint to export it again")


def _deployment(where: Path, folder: Path, console: Console) -> tuple[Deployment, dict[str, Any]]:
    """The exported policy, and what the report says about it."""
    if not is_deployment(str(where)):
        checkpoint = load_checkpoint(where)
        policy = restore_policy(checkpoint)
        contract = read_contract(checkpoint.hyperparameters["contract"], where)
        check_served(contract, policy.acting_groups)
        observations = plausible_observations(policy, contract.observations.dims(), NUM_OBSERVATIONS)
        where = export_policy(policy, folder / "export", describe_export(checkpoint), observations)
        console.print(f"exported to {where}")
    deployment = load_deployment(where)
    header = {"task": deployment.task, "algorithm": deployment.algorithm, "iteration": deployment.iteration}
    return deployment, {**header, "policy": str(where)}
