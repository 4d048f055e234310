"""Events: where episodes start and what disturbs them."""

import math
from typing import cast

import torch
from isaaclab.envs import ManagerBasedEnv, ManagerBasedRLEnv
from isaaclab.managers import SceneEntityCfg
from isaaclab.utils.math import quat_from_euler_xyz, quat_mul

from rlmpc.tasks.mdp.commands import WideningVelocityCommand
from rlmpc.tasks.mdp.selected import Selected, uniform

VELOCITY_AXES = ("x", "y", "z", "roll", "pitch", "yaw")
"""Names of the six components of a root velocity."""


def push_at_speed(
    env: ManagerBasedRLEnv,
    env_ids: Selected,
    command_name: str,
    min_lin_vel_x: float,
    velocity_range: dict[str, tuple[float, float]],
    asset_cfg: SceneEntityCfg = SceneEntityCfg("robot"),
) -> None:
    """Push robots once the command curriculum has reached a speed.

    Args:
        env: The environment.
        env_ids: Environments to push.
        command_name: Name of the velocity command.
        min_lin_vel_x: Pushes begin when the upper end of the vx range reaches this speed [m/s].
        velocity_range: Range of the velocity change per axis (`VELOCITY_AXES`), world frame [m/s, rad/s].
        asset_cfg: Robot.
    """
    command = cast(WideningVelocityCommand, env.command_manager.get_term(command_name))
    robot = env.scene[asset_cfg.name]
    begins = (command.upper_ends["lin_vel_x"] >= min_lin_vel_x).float()
    velocity = robot.data.root_vel_w.torch[env_ids].clone()
    for column, axis in enumerate(VELOCITY_AXES):
        if axis in velocity_range:
            velocity[:, column] += begins * uniform(env, env_ids, *velocity_range[axis])
    robot.write_root_velocity_to_sim_index(root_velocity=velocity, env_ids=env_ids)


def reset_root_four_headings(
    env: ManagerBasedEnv,
    env_ids: Selected,
    heading_noise_rad: float,
    max_velocity: float,
    forward_velocity: tuple[float, float] = (0.0, 0.0),
    asset_cfg: SceneEntityCfg = SceneEntityCfg("robot"),
) -> None:
    """Put robots at the centre of their tile, facing roughly along one of the four axes.

    Stairs run along the axes, so robots meet them nearly head-on.

    Args:
        env: The environment.
        env_ids: Environments to reset.
        heading_noise_rad: Largest deviation from the axis [rad].
        max_velocity: Largest root velocity in each of the six components, world frame [m/s, rad/s].
        forward_velocity: Range of a further velocity straight ahead [m/s]: a robot that moves learns to step sooner.
        asset_cfg: Robot.
    """
    robot = env.scene[asset_cfg.name]
    # Positions in m, quaternions XYZW.
    default_pose = robot.data.default_root_pose.torch[env_ids]

    quarter_turns = uniform(env, env_ids, 0.0, 4.0).floor()
    noise = uniform(env, env_ids, -heading_noise_rad, heading_noise_rad)
    yaw = quarter_turns * (0.5 * math.pi) + noise
    level = torch.zeros_like(yaw)
    position = default_pose[:, :3] + env.scene.env_origins[env_ids]
    rotation = quat_mul(quat_from_euler_xyz(level, level, yaw), default_pose[:, 3:7])
    velocity = uniform(env, env_ids, -max_velocity, max_velocity, 6)
    ahead = torch.stack([yaw.cos(), yaw.sin()], dim=1)
    velocity[:, :2] += ahead * uniform(env, env_ids, *forward_velocity, 1)

    robot.write_root_pose_to_sim_index(root_pose=torch.cat([position, rotation], dim=1), env_ids=env_ids)
    robot.write_root_velocity_to_sim_index(root_velocity=velocity, env_ids=env_ids)
