"""Terminations that Isaac Lab does not have. All return booleans of shape (N,)."""

from functools import reduce

import torch
from isaaclab.envs import ManagerBasedRLEnv
from isaaclab.managers import SceneEntityCfg


def left_tile(env: ManagerBasedRLEnv, asset_cfg: SceneEntityCfg = SceneEntityCfg("robot")) -> torch.Tensor:
    """Return whether the root has left the square tile around the environment's origin."""
    terrain = env.scene.terrain
    assert terrain is not None and terrain.cfg.terrain_generator is not None
    size = terrain.cfg.terrain_generator.size
    offset = (env.scene[asset_cfg.name].data.root_pos_w.torch[:, :2] - env.scene.env_origins[:, :2]).abs()
    return (offset[:, 0] > 0.5 * size[0]) | (offset[:, 1] > 0.5 * size[1])


def non_finite_state(env: ManagerBasedRLEnv, asset_cfg: SceneEntityCfg = SceneEntityCfg("robot")) -> torch.Tensor:
    """Return whether any joint position or velocity, or any number of the root's pose or velocity, is not finite.

    Physics never recovers from such a state by itself, and comparisons with NaN are false, so no other term would end
    the episode.
    """
    data = env.scene[asset_cfg.name].data
    state = (data.joint_pos, data.joint_vel, data.root_pose_w, data.root_vel_w)
    # A sum is non-finite if one summand is, and minus itself then NaN instead of 0: one flag per environment in few
    # kernels.
    total = reduce(torch.add, (part.torch.sum(dim=1) for part in state))
    return total - total != 0.0
