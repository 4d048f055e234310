"""Events: where episodes start and what disturbs them."""

import math
from typing import cast

import torch
from isaaclab.envs import ManagerBasedEnv, ManagerBasedRLEnv
from isaaclab.envs.mdp import push_by_setting_velocity
from isaaclab.managers import SceneEntityCfg
from isaaclab.utils.math import quat_from_euler_xyz, quat_mul

from rlmpc.tasks.mdp.commands import WideningVelocityCommand


def push_at_speed(
    env: ManagerBasedRLEnv,
    env_ids: torch.Tensor,
    command_name: str,
    min_lin_vel_x: float,
    velocity_range: dict[str, tuple[float, float]],
) -> None:
    """Push robots once the command curriculum has reached a speed.

    Args:
        env: The environment.
        env_ids: Environments to push.
        command_name: Name of the velocity command.
        min_lin_vel_x: Pushes begin when the upper end of the vx range reaches this speed [m/s].
        velocity_range: Range of the velocity change per axis, world frame [m/s].
    """
    command = cast(WideningVelocityCommand, env.command_manager.get_term(command_name))
    if command.ranges.lin_vel_x[1] >= min_lin_vel_x:
        push_by_setting_velocity(env, env_ids, velocity_range)


def reset_root_four_headings(
    env: ManagerBasedEnv,
    env_ids: torch.Tensor | slice,
    heading_noise_rad: float,
    max_velocity: float,
    asset_cfg: SceneEntityCfg = SceneEntityCfg("robot"),
) -> None:
    """Put robots at the centre of their tile, facing roughly along one of the four axes.

    Stairs run along the axes, so robots meet them nearly head-on.

    Args:
        env: The environment.
        env_ids: Environments to reset.
        heading_noise_rad: Largest deviation from the axis [rad].
        max_velocity: Largest root velocity in each of the six components, world frame [m/s, rad/s].
        asset_cfg: Robot.
    """
    robot = env.scene[asset_cfg.name]
    # Positions in m, quaternions XYZW.
    default_pose = robot.data.default_root_pose.torch[env_ids]
    count = default_pose.shape[0]

    quarter_turns = torch.randint(0, 4, (count,), device=env.device)
    noise = torch.empty(count, device=env.device).uniform_(-heading_noise_rad, heading_noise_rad)
    yaw = quarter_turns * (0.5 * math.pi) + noise
    level = torch.zeros_like(yaw)
    position = default_pose[:, :3] + env.scene.env_origins[env_ids]
    rotation = quat_mul(quat_from_euler_xyz(level, level, yaw), default_pose[:, 3:7])
    velocity = torch.empty(count, 6, device=env.device).uniform_(-max_velocity, max_velocity)

    robot.write_root_pose_to_sim_index(root_pose=torch.cat([position, rotation], dim=1), env_ids=env_ids)
    robot.write_root_velocity_to_sim_index(root_velocity=velocity, env_ids=env_ids)
