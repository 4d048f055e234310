"""Drives an exported policy in plain MuJoCo: no Isaac Lab on this path."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from rlmpc.algorithms.policies import restore_policy
from rlmpc.checkpoint.file import Checkpoint, load_checkpoint
from rlmpc.command_line.compose import is_deployment
from rlmpc.config.play import PlayCfg
from rlmpc.contract.contract import Contract
from rlmpc.errors import UserError
from rlmpc.evaluation.grid import make_trials
from rlmpc.evaluation.mismatch import command_warnings
from rlmpc.export.deployment import load_deployment, read_contract
from rlmpc.export.record import plausible_observations
from rlmpc.export.write import export_policy
from rlmpc.play.results import FILM_STEPS, describe_export, film_trials, report_episodes, results_folder
from rlmpc.run.folder import check_new_folder
from rlmpc.sim2sim.evaluate import evaluate
from rlmpc.sim2sim.ground import served_kinds
from rlmpc.sim2sim.simulation import world_of
from rlmpc.sim2sim.walker import check_served

NUM_OBSERVATIONS = 1000


class MujocoGround(NamedTuple):
    """What there is to walk on."""

    terrains: tuple[str, ...]
    num_levels: int
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
    checkpoint = None if is_deployment(str(where)) else load_checkpoint(where)
    contract = _contract(checkpoint, where)
    world = world_of(contract)
    ground = MujocoGround(served_kinds(world.terrain), world.terrain.num_levels)
    commands = None if cfg.command is None else [cfg.command]
    trials = make_trials(ground, cfg.terrains, cfg.levels, commands, cfg.episodes or 1)
    if checkpoint is not None:
        where = _export(checkpoint, contract, folder, console)
    deployment = load_deployment(where)
    for line in command_warnings(trials, ground.command_names, deployment.command_ranges):
        console.print(line)
    if cfg.evaluate:
        length_s = world.episode_length_s if cfg.steps is None else cfg.steps * contract.control_dt
        about = {"task": deployment.task, "algorithm": deployment.algorithm, "iteration": deployment.iteration}
        header = {**about, "policy": str(where)}
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


def _contract(checkpoint: Checkpoint | None, where: Path) -> Contract:
    """What the policy agreed upon with its environment, from its checkpoint or from its export."""
    if checkpoint is None:
        deployment = load_deployment(where)
        check_served(deployment.contract, deployment.groups)
        return deployment.contract
    return read_contract(checkpoint.hyperparameters["contract"], where)


def _export(checkpoint: Checkpoint, contract: Contract, folder: Path, console: Console) -> Path:
    """Export a checkpoint's policy below `folder`; where to."""
    policy = restore_policy(checkpoint)
    check_served(contract, policy.acting_groups)
    observations = plausible_observations(policy, contract.observations.dims(), NUM_OBSERVATIONS)
    path = export_policy(policy, folder / "export", describe_export(checkpoint), observations)
    console.print(f"exported to {path}")
    return path
