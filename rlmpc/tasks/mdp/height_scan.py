"""What a height scanner sees of the ground."""

from typing import cast

import torch
from isaaclab.envs import ManagerBasedEnv
from isaaclab.managers import SceneEntityCfg
from isaaclab.sensors.ray_caster.base_ray_caster import BaseRayCaster


def height_scan(env: ManagerBasedEnv, sensor_cfg: SceneEntityCfg) -> torch.Tensor:
    """Return the closeness of the ground below each ray of a yaw-aligned scanner: 1 - min(d, d_max) / d_max.

    d is the distance [m] from the ray's start straight down to the ground and d_max the scanner's `max_distance`. A
    ray that hits nothing within d_max reads 0, and so do all rays of a robot whose pose is not finite.

    Isaac Lab turns the scanner's offset and grid by the yaw of the body it is mounted on, never by roll or pitch: all
    rays of a robot start at one height, the body's plus the z of the offset. The order of rays is the pattern's. In a
    `GridPatternCfg` x (forward) runs fastest, then y (left), both rising: of 27 x 9 rays, 0 is rear right, 26 front
    right, 216 rear left and 242 front left.

    Args:
        env: The environment.
        sensor_cfg: A ray caster with rays pointing down and `ray_alignment` "yaw".

    Returns:
        Values in [0, 1], shape (N, R).
    """
    scanner = cast(BaseRayCaster, env.scene.sensors[sensor_cfg.name])
    # A miss is reported at infinity. The sensor's own position omits its offset; the rays' starts contain it.
    start_z = scanner.data.pos_w.torch[:, 2:3] + scanner.ray_starts.torch[..., 2]
    distance = start_z - scanner.data.ray_hits_w.torch[..., 2]
    far = scanner.cfg.max_distance
    return 1.0 - distance.nan_to_num(far, far, far).clamp(0.0, far) / far
