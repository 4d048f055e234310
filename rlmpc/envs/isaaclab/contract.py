"""Reads from a running Isaac Lab environment what a policy must agree upon with it."""

from __future__ import annotations

from typing import Any

import torch
from isaaclab.envs import ManagerBasedRLEnv
from isaaclab.envs.mdp import JointPositionAction
from isaaclab.managers import ActionTerm

from rlmpc.contract.contract import Contract
from rlmpc.contract.observations import ObsSchema, ObsTerm
from rlmpc.tasks.mdp import GaitCycleAction

ROBOT = "robot"
"""Name of the articulation in the scene."""


def contract_of(env: ManagerBasedRLEnv, gains: dict[str, list[float]]) -> Contract:
    """The contract of a running environment.

    Args:
        env: the environment.
        gains: what `nominal_gains` read before physics was randomised.
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
    return Contract(env.step_dt, _observations(env), actions, joints)


def nominal_gains(env: ManagerBasedRLEnv) -> dict[str, list[float]]:
    """`stiffness` [N m/rad] and `damping` [N m s/rad] of every joint; call it before anything randomises them."""
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
    return described


def _row(value: torch.Tensor | float, width: int) -> list[float]:
    """The first environment's row of (N, D), or a number D times."""
    return value[0].tolist() if isinstance(value, torch.Tensor) else [float(value)] * width


def _plain(value: torch.Tensor | tuple[float, ...] | float) -> float | list[float]:
    """A number, or a list of them; Isaac Lab turns scales into tensors."""
    return torch.as_tensor(value).tolist()
