"""How much of a standing sole has no ground under it, seen by the height scanner."""

from typing import cast

import torch
from isaaclab.envs import ManagerBasedRLEnv
from isaaclab.managers import SceneEntityCfg
from isaaclab.sensors.ray_caster.base_ray_caster import BaseRayCaster

from rlmpc.tasks.mdp.observations import foot_contact, sole_heights


def sole_overhang(
    env: ManagerBasedRLEnv,
    asset_cfg: SceneEntityCfg,
    sensor_cfg: SceneEntityCfg,
    scanner_cfg: SceneEntityCfg,
    sole_offset: float,
    sole: tuple[float, float, float, float],
    margin: float,
    depth: float,
) -> torch.Tensor:
    """Return the share of each sole in contact whose ground lies deep below it, summed over the feet (N,), from 0 to F.

    A foot that stands half on a stone carries, so a fall alone hardly tells which step was the bad one. The idea is
    that of the foothold reward of BeamDojo (Wang et al. 2025, arXiv:2502.10363), which samples points under the sole;
    here the points are those that the scanner's rays hit anyway. A sole without any ray has no overhang.

    Args:
        env: The environment.
        asset_cfg: Robot, with the foot bodies selected.
        sensor_cfg: Contact sensor, with the same bodies selected.
        scanner_cfg: A ray caster with rays pointing down and `ray_alignment` "yaw".
        sole_offset: Distance of the sole below the foot body's origin, along the foot's own z axis [m].
        sole: Where the sole begins and ends along the foot's x, then y axis [m].
        margin: Width of the rim around the sole that is to have ground, too [m].
        depth: Ground that is deeper below the sole than this does not carry [m]; more than the highest step.
    """
    data = env.scene[asset_cfg.name].data
    scanner = cast(BaseRayCaster, env.scene.sensors[scanner_cfg.name])
    forward = _heading(data.body_quat_w.torch[:, asset_cfg.body_ids])
    ahead = _heading(scanner.data.quat_w.torch).unsqueeze(1)
    feet = data.body_pos_w.torch[:, asset_cfg.body_ids, :2] - scanner.data.pos_w.torch[:, None, :2]
    # In the frame of the scanner, which turns with the yaw of its body.
    away = scanner.ray_starts.torch[:, None, :, :2] - _turned_back(feet, ahead).unsqueeze(2)
    x, y = _turned_back(away, _turned_back(forward, ahead).unsqueeze(2)).unbind(dim=-1)
    x_low, x_high, y_low, y_high = sole
    is_under = (x > x_low - margin) & (x < x_high + margin) & (y > y_low - margin) & (y < y_high + margin)

    hits = scanner.data.ray_hits_w.torch[..., 2].unsqueeze(1)
    # A ray that hits nothing is at infinity.
    is_deep = ~(hits.isfinite() & (hits > (sole_heights(env, asset_cfg, sole_offset) - depth).unsqueeze(2)))
    share = (is_under & is_deep).sum(dim=2) / is_under.sum(dim=2).clamp(min=1)
    return (share * foot_contact(env, sensor_cfg)).sum(dim=1)


def _heading(quat: torch.Tensor) -> torch.Tensor:
    """Return the direction of the x axis in the plane (..., 2), of quaternions (x, y, z, w)."""
    x, y, z, w = quat.unbind(dim=-1)
    direction = torch.stack([1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z)], dim=-1)
    return direction / direction.norm(dim=-1, keepdim=True)


def _turned_back(vector: torch.Tensor, heading: torch.Tensor) -> torch.Tensor:
    """Return vectors in the plane (..., 2) in a frame whose x axis points along `heading` (..., 2)."""
    along = (vector * heading).sum(dim=-1)
    across = vector[..., 1] * heading[..., 0] - vector[..., 0] * heading[..., 1]
    return torch.stack([along, across], dim=-1)
