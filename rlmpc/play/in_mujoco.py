"""Drives an exported policy in plain MuJoCo, without Isaac Lab."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from rlmpc.algorithms.restore import restore_policy
from rlmpc.checkpoint.file import Checkpoint
from rlmpc.config.play import PlayCfg
from rlmpc.contract.contract import Contract
from rlmpc.errors import UserError
from rlmpc.evaluation.grid import make_trials
from rlmpc.evaluation.mismatch import command_warnings
from rlmpc.export.deployment import Deployment, load_deployment, read_contract
from rlmpc.export.record import NUM_OBSERVATIONS, plausible_observations
from rlmpc.export.write import export_policy
from rlmpc.play.results import FILM_STEPS, describe_export, film_trials, report_episodes, results_folder
from rlmpc.sim2sim.evaluate import evaluate_in_mujoco
from rlmpc.sim2sim.ground import served_kinds
from rlmpc.sim2sim.simulation import world_of
from rlmpc.sim2sim.walker import check_served


class MujocoGround(NamedTuple):
    """The ground and commands that MuJoCo offers."""

    terrains: tuple[str, ...]
    num_levels: int
    command_names: tuple[str, ...] = ("lin_vel_x", "lin_vel_y", "ang_vel_z")


def play_in_mujoco(cfg: PlayCfg, played: Checkpoint | Path, console: Console) -> None:
    """Evaluate and film an exported policy; a checkpoint is exported first.

    Args:
        cfg: what is asked for.
        played: a checkpoint, or the path of an exported policy.
        console: where to print.

    Raises:
        UserError: if the policy needs something MuJoCo does not offer, or something asked for does not exist or cannot
            be written.
    """
    check_effects(cfg, played)
    with results_folder(cfg, played if isinstance(played, Path) else played.path) as folder:
        _play(cfg, played, folder, console)


def _play(cfg: PlayCfg, played: Checkpoint | Path, folder: Path, console: Console) -> None:
    deployment: Deployment | None = None
    if isinstance(played, Checkpoint):
        contract = read_contract(played.hyperparameters["contract"], played.path, "hyper_parameters.contract")
    else:
        deployment = load_deployment(played)
        contract = deployment.contract
        check_served(contract, deployment.groups)
    world = world_of(contract)
    ground = MujocoGround(served_kinds(world.terrain), world.terrain.num_levels)
    commands = None if cfg.command is None else [cfg.command]
    trials = make_trials(ground, cfg.terrains, cfg.levels, commands, cfg.episodes or 1)
    if isinstance(played, Checkpoint):
        deployment = load_deployment(_export(played, contract, folder, console))
    assert deployment is not None
    for line in command_warnings(trials, ground.command_names, deployment.command_ranges):
        console.print(line)
    if cfg.evaluate:
        length_s = world.episode_length_s if cfg.steps is None else cfg.steps * contract.control_dt
        about = {"task": deployment.task, "algorithm": deployment.algorithm, "iteration": deployment.iteration}
        header = {**about, "policy": str(deployment.path)}
        console.print(f"{len(trials)} episodes of {length_s:g} s in MuJoCo")
        report_episodes(cfg, folder, evaluate_in_mujoco(deployment, trials, cfg.seed, length_s), header, console)
    if cfg.video:
        # Imported here so that only a video needs a renderer.
        from rlmpc.sim2sim.video import film_in_mujoco

        trial = film_trials(cfg, ground)[-1]
        path = film_in_mujoco(deployment, trial, folder / "video.mp4", cfg.steps or FILM_STEPS, cfg.seed)
        console.print(f"video of {trial.terrain} at level {trial.level}, command {list(trial.command)}: {path}")


def check_effects(cfg: PlayCfg, played: Checkpoint | Path) -> None:
    """Refuse settings that would silently do nothing."""
    for key in ("env", "num_envs"):
        if getattr(cfg, key):
            raise UserError(f"'{key}' has no effect in MuJoCo, where one robot walks at a time")
    if cfg.device not in ("auto", "cpu"):
        raise UserError(f"MuJoCo runs on the CPU, not on device '{cfg.device}'")
    if cfg.export and isinstance(played, Path):
        raise UserError(f"'{played}' is exported already; give its checkpoint to export it again")


def _export(checkpoint: Checkpoint, contract: Contract, folder: Path, console: Console) -> Path:
    """Export a checkpoint's policy below `folder` and return the path."""
    policy = restore_policy(checkpoint)
    check_served(contract, policy.acting_groups)
    observations = plausible_observations(policy, contract.observations.dims(), NUM_OBSERVATIONS)
    path = export_policy(policy, folder / "export", describe_export(checkpoint), observations)
    console.print(f"exported to {path}")
    return path
