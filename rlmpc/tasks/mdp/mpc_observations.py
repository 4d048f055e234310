"""What the predictive controller plans and how its last solve went, as observations and the reason of a fault."""

from typing import cast

import torch
from isaaclab.envs import ManagerBasedEnv, ManagerBasedRLEnv
from isaaclab.utils.math import matrix_from_quat

from rlmpc.mpc.rotations import roll_pitch_yaw
from rlmpc.tasks.mdp.mpc_action import MpcAction


def planned_contacts(env: ManagerBasedEnv, action_name: str) -> torch.Tensor:
    """Return 1 where a foot is planned to be down, else 0: left and right in each step of the horizon, (N, 2 H)."""
    return _action(env, action_name).controller.contact_table.float().flatten(1)


def mpc_parameters(env: ManagerBasedEnv, action_name: str) -> torch.Tensor:
    """Return the distances of the parameters that the policy sets from the nominal ones, by their scales, (N, A)."""
    return _action(env, action_name).deviations


def planned_wrench(env: ManagerBasedEnv, action_name: str) -> torch.Tensor:
    """Return the planned force and moment of the left and the right sole, heading frame, (N, 12).

    Forces are relative to the robot's weight, moments to its weight at 0.1 m.
    """
    action = _action(env, action_name)
    root = matrix_from_quat(env.scene[action.cfg.asset_name].data.root_quat_w.torch)
    return action.controller.relative_wrench(roll_pitch_yaw(root)[:, 2])


def mpc_cost(env: ManagerBasedEnv, action_name: str) -> torch.Tensor:
    """Return log(1 + |cost|) of the last solve with the sign of its cost, (N, 1)."""
    cost = _action(env, action_name).controller.cost
    return (cost.sign() * cost.abs().log1p()).unsqueeze(1)


def mpc_residual(env: ManagerBasedEnv, action_name: str) -> torch.Tensor:
    """Return the residual of the last solve relative to the largest accepted one, at most 10, (N, 1)."""
    action = _action(env, action_name)
    residual = action.controller.residual.nan_to_num(torch.inf) / action.cfg.model.residual_bound
    return residual.clamp(max=10.0).unsqueeze(1)


def unsolved(env: ManagerBasedRLEnv, action_name: str) -> torch.Tensor:
    """Return whether too many solves of the controller in a row were not accepted, (N,)."""
    return _action(env, action_name).is_unsolved


def _action(env: ManagerBasedEnv, name: str) -> MpcAction:
    return cast(MpcAction, env.action_manager.get_term(name))
