"""Rewards that Isaac Lab does not have. All return shape (N,); weights and the time step are applied by the manager."""

from typing import cast

import torch
from isaaclab.envs import ManagerBasedRLEnv
from isaaclab.managers import SceneEntityCfg

from rlmpc.tasks.mdp.actions import GaitCycleAction
from rlmpc.tasks.mdp.observations import foot_contact


def downward_velocity_l2(env: ManagerBasedRLEnv, asset_cfg: SceneEntityCfg = SceneEntityCfg("robot")) -> torch.Tensor:
    """Return the square of the root's downward velocity [m^2/s^2], world frame; 0 while it rises."""
    return env.scene[asset_cfg.name].data.root_lin_vel_w.torch[:, 2].clamp(max=0.0).square()


def joint_power(env: ManagerBasedRLEnv, asset_cfg: SceneEntityCfg = SceneEntityCfg("robot")) -> torch.Tensor:
    """Return the sum of the selected joints' absolute mechanical powers [W]."""
    robot = env.scene[asset_cfg.name]
    torque = robot.actuators.applied_effort.torch[:, asset_cfg.joint_ids]
    return (torque * robot.data.joint_vel.torch[:, asset_cfg.joint_ids]).abs().sum(dim=1)


def joint_torques_mean_l2(env: ManagerBasedRLEnv, asset_cfg: SceneEntityCfg) -> torch.Tensor:
    """Return the mean of the selected joints' squared torques [N^2 m^2]."""
    return env.scene[asset_cfg.name].actuators.applied_effort.torch[:, asset_cfg.joint_ids].square().mean(dim=1)


def gait_period_exp(env: ManagerBasedRLEnv, action_name: str, period_s: float, rate: float) -> torch.Tensor:
    """Return exp(-rate |period - preferred period|): 1 at the preferred gait period.

    Args:
        env: The environment.
        action_name: Name of the gait-cycle action.
        period_s: Preferred period [s].
        rate: Decay [1/s].
    """
    clock = cast(GaitCycleAction, env.action_manager.get_term(action_name))
    return torch.exp(-rate * (clock.period_s - period_s).abs())


def gait_phase_agreement(
    env: ManagerBasedRLEnv,
    action_name: str,
    command_name: str,
    sensor_cfg: SceneEntityCfg,
    stance_share: float,
    min_command: float,
) -> torch.Tensor:
    """Return the number of feet that do what the gait clock asks: on the ground in stance, in the air in swing.

    Args:
        env: The environment.
        action_name: Name of the gait-cycle action.
        command_name: Name of the velocity command.
        sensor_cfg: Contact sensor, with the feet selected in the order of the legs: left, right.
        stance_share: A leg is in stance while its phase is below this.
        min_command: No reward unless the norm of the whole command (vx, vy, yaw rate) exceeds this.
    """
    clock = cast(GaitCycleAction, env.action_manager.get_term(action_name))
    is_stance = clock.leg_phase < stance_share
    agrees = foot_contact(env, sensor_cfg).bool() == is_stance
    is_commanded = env.command_manager.get_command(command_name).norm(dim=1) > min_command
    return agrees.sum(dim=1) * is_commanded
