"""Films an exported policy in MuJoCo."""

# MuJoCo fills its module from compiled ones, which pyright cannot read.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import importlib
import os
from pathlib import Path

import imageio.v3 as iio
import mujoco
import numpy as np
from mujoco.rendering.classic import gl_context

from rlmpc.contract.episode import ACTIONS_NOT_FINITE, NON_FINITE_ACTION, Trial
from rlmpc.errors import RunError, UserError
from rlmpc.export.deployment import Deployment
from rlmpc.sim2sim.evaluate import end_reason
from rlmpc.sim2sim.simulation import Simulation
from rlmpc.sim2sim.walker import Walker

WIDTH, HEIGHT = 640, 480
"""Size of the picture [px]."""

_CAMERA_DISTANCE_M = 3.5
_CAMERA_AZIMUTH_DEG, _CAMERA_ELEVATION_DEG = 135.0, -18.0


def film_in_mujoco(deployment: Deployment, trial: Trial, path: Path, steps: int, seed: int) -> Path:
    """Film a trial at the control rate; when an episode ends by itself, the next one starts.

    Args:
        deployment: the exported policy.
        trial: ground and command.
        path: the mp4 file to write; its folder is made if need be.
        steps: control steps, one frame each.
        seed: seed of the starts.

    Returns:
        `path`.

    Raises:
        UserError: if this machine cannot render, or for a trial or policy that MuJoCo does not serve.
        RunError: if an action of the policy is not finite.
    """
    walker = Walker(deployment, trial)
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with make_renderer(walker.simulation.model) as renderer, iio.imopen(path, "w", plugin="pyav") as video:
        video.init_video_stream("libx264", fps=round(1.0 / walker.simulation.control_dt))
        walker.start(rng)
        for _ in range(steps):
            walker.step()
            video.write_frame(picture(renderer, walker.simulation))
            reason = end_reason(walker.simulation, is_time_out=False)
            if reason == NON_FINITE_ACTION:
                raise RunError(ACTIONS_NOT_FINITE)
            if reason is not None:
                walker.start(rng)
    return path


def make_renderer(model: mujoco.MjModel) -> mujoco.Renderer:
    """Make a renderer; without a display it uses EGL, unless the environment variable `MUJOCO_GL` says otherwise.

    Raises:
        UserError: if this machine cannot render.
    """
    try:
        if "MUJOCO_GL" not in os.environ and "DISPLAY" not in os.environ:
            os.environ["MUJOCO_GL"] = "egl"
            # MuJoCo read the variable on import. Had it been set before, the import itself would fail without EGL,
            # which measuring does not need.
            importlib.reload(gl_context)
        return mujoco.Renderer(model, HEIGHT, WIDTH)
    except Exception as error:  # missing libraries raise AttributeError, ImportError, RuntimeError or FatalError
        raise UserError(
            f"MuJoCo cannot render here, so there is no video: {error}; MUJOCO_GL may be egl, osmesa or glfw"
        ) from error


def picture(renderer: mujoco.Renderer, simulation: Simulation) -> np.ndarray:
    """Draw the robot from a camera that follows it, (HEIGHT, WIDTH, 3) uint8."""
    camera = mujoco.MjvCamera()
    camera.type = mujoco.mjtCamera.mjCAMERA_TRACKING
    camera.trackbodyid = simulation.data.body(simulation.robot.root).id
    camera.distance = _CAMERA_DISTANCE_M
    camera.azimuth, camera.elevation = _CAMERA_AZIMUTH_DEG, _CAMERA_ELEVATION_DEG
    renderer.update_scene(simulation.data, camera)
    return renderer.render()
