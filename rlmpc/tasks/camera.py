"""A camera that follows each robot, drawn by Newton's ray tracer: on CPU and GPU, without a display."""

from typing import Any

import isaaclab.sim as sim_utils
import torch
from isaaclab.scene import InteractiveScene
from isaaclab.sensors import Camera, CameraCfg
from isaaclab_newton.renderers import NewtonWarpRendererCfg

from rlmpc.errors import UserError

CAMERA = "camera"
"""Name of the sensor in the scene."""

PICTURE_SIZES = {1: (640, 480), 2: (640, 480), 3: (480, 360), 4: (480, 360)}
"""Width and height [px] by the number of robots: each has its own camera, and every pixel costs time."""

_EYE_OFFSET_M = (-2.4, -2.4, 1.2)
"""From the robot's root to the eye, world frame: oblique to the stairs, and above the treads of the steepest pit."""

_TARGET_OFFSET_M = (0.0, 0.0, -0.15)
"""From the robot's root to the point the eye looks at: the legs matter more than the sky."""


def with_camera(cfg: Any, num_robots: int) -> Any:
    """Add a camera for every robot to an environment's configuration in place, and return it.

    Raises:
        UserError: If this number of robots cannot be filmed.
    """
    if num_robots not in PICTURE_SIZES:
        raise UserError(f"{num_robots} robots cannot be filmed at once; accepted: 1 to {max(PICTURE_SIZES)}")
    width, height = PICTURE_SIZES[num_robots]
    camera = CameraCfg(
        prim_path="{ENV_REGEX_NS}/" + CAMERA,
        data_types=["rgb"],
        width=width,
        height=height,
        spawn=sim_utils.PinholeCameraCfg(clipping_range=(0.1, 100.0)),
        renderer_cfg=NewtonWarpRendererCfg(enable_shadows=True),
        background_color=(0.72, 0.82, 0.92),
    )
    # The scene reads its sensors from the attributes of its configuration, declared or not.
    setattr(cfg.scene, CAMERA, camera)
    return cfg


def take_pictures(scene: InteractiveScene, robot: str) -> torch.Tensor:
    """Move every camera to its robot, an articulation given by name, and take the pictures.

    Returns:
        Pictures (N, height, width, 3), uint8, on the host.

    Raises:
        UserError: If the scene has no camera.
    """
    if CAMERA not in scene.sensors:
        raise UserError("this environment has no camera, so there is nothing to film with")
    camera = scene.sensors[CAMERA]
    assert isinstance(camera, Camera)
    position = scene[robot].data.root_pos_w.torch
    eye, target = (position + position.new_tensor(offset) for offset in (_EYE_OFFSET_M, _TARGET_OFFSET_M))
    camera.set_world_poses_from_view(eye, target)
    camera.update(dt=0.0, force_recompute=True)
    output = camera.data.output
    assert output is not None
    return output["rgb"].cpu()
