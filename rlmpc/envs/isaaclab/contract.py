"""Reads from a running Isaac Lab environment what a policy must agree on with it."""

from __future__ import annotations

from numbers import Real
from typing import Any

import torch
from isaaclab.envs import ManagerBasedRLEnv
from isaaclab.envs.mdp import JointPositionAction
from isaaclab.managers import ActionTerm
from isaaclab.sensors import RayCasterCfg
from isaaclab.sensors.ray_caster.patterns import GridPatternCfg
from isaaclab.terrains import SubTerrainBaseCfg, TerrainGeneratorCfg

from rlmpc.contract.contract import Contract
from rlmpc.contract.observations import ObsSchema, ObsTerm
from rlmpc.contract.world import HeightScanner, Terrain, World
from rlmpc.robots.table import robot_named
from rlmpc.tasks.mdp import GaitCycleAction, MpcAction

ROBOT = "robot"
"""Name of the articulation in the scene."""


def contract_of(env: ManagerBasedRLEnv, gains: dict[str, list[float]]) -> Contract:
    """Return the contract of a running environment.

    Args:
        env: an environment whose config is a `rlmpc.tasks.locomotion_env_cfg.LocomotionEnvCfg`.
        gains: what `nominal_gains` returned before physics was randomised.
    """
    data = env.scene[ROBOT].data
    joints = {
        "names": list(env.scene[ROBOT].joint_names),
        "default_pos": data.default_joint_pos.torch[0].tolist(),
        "effort_limit": data.joint_effort_limits.torch[0].tolist(),
        "armature": data.joint_armature.torch[0].tolist(),
        **gains,
    }
    manager = env.action_manager
    actions = tuple(_action(name, manager.get_term(name)) for name in manager.active_terms)
    cfg: Any = env.cfg
    revision = robot_named(cfg.robot).revision
    return Contract(
        env.step_dt, _observations(env), actions, joints, cfg.robot, cfg.action_limit, _world(cfg), revision
    )


def nominal_gains(env: ManagerBasedRLEnv) -> dict[str, list[float]]:
    """Return `stiffness` [N m/rad] and `damping` [N m s/rad] of every joint; call it before they are randomised."""
    data = env.scene[ROBOT].data
    return {
        "stiffness": data.joint_stiffness.torch[0].tolist(),
        "damping": data.joint_damping.torch[0].tolist(),
    }


def _observations(env: ManagerBasedRLEnv) -> ObsSchema:
    manager = env.observation_manager
    groups = {}
    for group, names in manager.active_terms.items():
        cfgs = manager._group_obs_term_cfgs[group]
        widths = [shape[0] for shape in manager.group_obs_term_dim[group]]
        groups[group] = tuple(
            ObsTerm(
                name,
                width // max(cfg.history_length, 1),
                max(cfg.history_length, 1),
                1.0 if cfg.scale is None else _plain(cfg.scale),
                None if cfg.clip is None else list(cfg.clip),
            )
            for name, width, cfg in zip(names, widths, cfgs, strict=True)
        )
    return ObsSchema(groups)


def _action(name: str, term: ActionTerm) -> dict[str, Any]:
    described: dict[str, Any] = {"name": name, "dim": term.action_dim}
    if isinstance(term, JointPositionAction):
        return described | {
            "joints": list(term._joint_names),
            "scale": _row(term._scale, term.action_dim),
            "offset": _row(term._offset, term.action_dim),
        }
    if isinstance(term, GaitCycleAction):
        cfg = term.cfg
        return described | {
            "offset_s": cfg.offset_s,
            "scale_s": cfg.scale_s,
            "period_range_s": list(cfg.period_range_s),
            "leg_offsets": list(cfg.leg_offsets),
        }
    if isinstance(term, MpcAction):
        return described | term.numbers
    return described


def _row(value: torch.Tensor | float, width: int) -> list[float]:
    """Return the first environment's row of (N, D), or a number D times."""
    return value[0].tolist() if isinstance(value, torch.Tensor) else [float(value)] * width


def _plain(value: torch.Tensor | tuple[float, ...] | float) -> float | list[float]:
    """Return a number or a list of numbers; Isaac Lab turns scales into tensors."""
    return torch.as_tensor(value).tolist()


def _world(cfg: Any) -> World:
    """Return the numbers of the world that the config of an environment describes."""
    start, ends, physics = cfg.events.reset_root.params, cfg.terminations, cfg.sim.physics
    return World(
        num_substeps=cfg.decimation * physics.num_substeps,
        gravity=list(cfg.sim.gravity),
        integrator=physics.solver_cfg.integrator,
        cone=physics.solver_cfg.cone,
        impratio=physics.solver_cfg.impratio,
        contact_stiffness=physics.default_shape_cfg.ke,
        contact_damping=physics.default_shape_cfg.kd,
        heading_noise_rad=start["heading_noise_rad"],
        max_start_velocity=start["max_velocity"],
        episode_length_s=cfg.episode_length_s,
        max_tilt_rad=ends.bad_orientation and ends.bad_orientation.params["limit_angle"],
        min_height_m=ends.fell_below and ends.fell_below.params["minimum_height"],
        terrain=terrain_of(cfg.scene.terrain.terrain_generator),
        height_scanner=_height_scanner(getattr(cfg.scene, "height_scanner", None)),
    )


def terrain_of(generator: TerrainGeneratorCfg) -> Terrain:
    """Return the ground that a generator builds, as plain numbers."""
    return Terrain(
        kinds={name: _kind(kind) for name, kind in generator.sub_terrains.items()},
        num_levels=generator.num_rows,
        difficulty_range=list(generator.difficulty_range),
        tile_size_m=list(generator.size),
        border_width_m=generator.border_width,
    )


def _kind(kind: SubTerrainBaseCfg) -> dict[str, Any]:
    """Return the name of the function that builds a kind of ground, and all numbers it takes."""
    numbers = {name: value for name, value in vars(kind).items() if isinstance(value, Real)}
    ranges = {name: list(value) for name, value in vars(kind).items() if isinstance(value, tuple)}
    return {"shape": kind.function.__name__, **numbers, **ranges}


def _height_scanner(cfg: RayCasterCfg | None) -> HeightScanner | None:
    if cfg is None:
        return None
    grid = cfg.pattern_cfg
    assert isinstance(grid, GridPatternCfg)
    return HeightScanner(
        body=cfg.prim_path.rsplit("/", 1)[-1],
        offset_m=list(cfg.offset.pos),
        size_m=list(grid.size),
        resolution_m=grid.resolution,
        max_distance_m=cfg.max_distance,
    )
