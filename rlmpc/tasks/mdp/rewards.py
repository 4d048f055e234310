"""Rewards that Isaac Lab does not have. All return shape (N,); weights and the time step are applied by the manager."""

from typing import cast

import torch
from isaaclab.envs import ManagerBasedRLEnv
from isaaclab.managers import SceneEntityCfg

from rlmpc.tasks.mdp.commands import WideningVelocityCommand
from rlmpc.tasks.mdp.gait_cycle_action import GaitCycleAction
from rlmpc.tasks.mdp.observations import foot_contact, sole_heights


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


def velocity_along_command(
    env: ManagerBasedRLEnv, command_name: str, min_speed: float, stand_speed: float
) -> torch.Tensor:
    """Return how well the velocity in the plane follows the command on average, from -2 to 1.

    It is 1 less the error along the command as a share of the commanded speed, less the error across it [m/s], each of
    `Progress`. A kernel of the velocity at an instant hardly tells half the commanded speed from the whole, because a
    walking body sways.

    Args:
        env: The environment.
        command_name: Name of the velocity command, whose `Progress` has the average.
        min_speed: Commands up to this speed in the plane mean standing [m/s].
        stand_speed: Speed at which standing earns nothing [m/s].
    """
    term = cast(WideningVelocityCommand, env.command_manager.get_term(command_name))
    error, command = term.progress.error[:, :2], term.command[:, :2]
    speed = command.norm(dim=1)
    direction = command / speed.clamp(min=min_speed).unsqueeze(1)
    along = (error * direction).sum(dim=1).abs() / speed.clamp(min=min_speed)
    across = (error[:, 1] * direction[:, 0] - error[:, 0] * direction[:, 1]).abs()
    walking = (1.0 - along).clamp(min=-1.0) - across.clamp(max=1.0)
    standing = (1.0 - error.norm(dim=1) / stand_speed).clamp(min=-1.0)
    return torch.where(speed > min_speed, walking, standing)


def track_yaw_rate_exp(env: ManagerBasedRLEnv, command_name: str, std: float, averaged: bool = True) -> torch.Tensor:
    """Return exp(-(commanded - measured yaw rate)^2 / std^2).

    A walking body twists with every step, and one that explores twists more, so the yaw rate of an instant hardly tells
    who turns.

    Args:
        env: The environment.
        command_name: Name of the velocity command, whose `Progress` has the average.
        std: Width of the kernel [rad/s].
        averaged: Whether the average error counts, instead of that of the instant.
    """
    term = cast(WideningVelocityCommand, env.command_manager.get_term(command_name))
    yaw_rate = term.robot.data.root_ang_vel_w.torch[:, 2]
    error = term.progress.error[:, 2] if averaged else yaw_rate - term.command[:, 2]
    return torch.exp(-error.square() / std**2)


def swing_clearance(
    env: ManagerBasedRLEnv, asset_cfg: SceneEntityCfg, sole_offset: float, height: float
) -> torch.Tensor:
    """Return by how much moving feet are too low above the standing sole, times their speed, summed [m^2/s].

    The standing sole is the lower one. Height above the world's or the ground's zero means nothing on stairs.

    Args:
        env: The environment.
        asset_cfg: Robot, with the foot bodies selected.
        sole_offset: Distance of the sole below the foot body's origin, along the foot's own z axis [m].
        height: Height at which a foot may move freely [m].
    """
    soles = sole_heights(env, asset_cfg, sole_offset)
    missing = (height - (soles - soles.amin(dim=1, keepdim=True))).clamp(min=0.0)
    speed = env.scene[asset_cfg.name].data.body_lin_vel_w.torch[:, asset_cfg.body_ids, :2].norm(dim=-1)
    return (missing * speed).sum(dim=1)


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
