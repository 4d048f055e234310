"""Films robots while a policy moves them."""

from __future__ import annotations

import math
from itertools import islice
from pathlib import Path

import imageio.v3 as iio
import numpy as np

from rlmpc.contract.episode import ACTIONS_NOT_FINITE
from rlmpc.envs.vec_env import FilmableEnv
from rlmpc.errors import RunError
from rlmpc.rollout.interaction import ActingPolicy, interact, is_senseless, noiseless

STEPS_PER_FRAME = 2
"""Control steps per frame: 25 frames a second of a robot that is controlled 50 times a second."""


def film(env: FilmableEnv, policy: ActingPolicy, path: Path, steps: int) -> Path:
    """Film all robots side by side, or in a square, from their next reset on; when an episode ends, the next follows.

    Args:
        env: a few environments with cameras (`rlmpc.tasks.camera.with_camera`), laid out with `place` if need be.
        policy: the policy that acts, without noise.
        path: the mp4 file to write; its folder is made if need be.
        steps: control steps; every second one gives a frame.

    Returns:
        `path`.

    Raises:
        UserError: if there is nothing to see or no way to film.
        RunError: if an action of the policy is not finite.
    """
    obs = env.reset()
    # Before the file is made, so that an environment that cannot be filmed leaves no file.
    env.pictures()
    path.parent.mkdir(parents=True, exist_ok=True)
    with iio.imopen(path, "w", plugin="pyav") as video:
        video.init_video_stream("libx264", fps=round(1.0 / (STEPS_PER_FRAME * env.step_dt)))
        transitions = interact(env, noiseless(policy), obs, policy.initial_memory(env.num_envs))
        for count, transition in enumerate(islice(transitions, steps), 1):
            if bool(is_senseless(transition).any()):
                raise RunError(ACTIONS_NOT_FINITE)
            if count % STEPS_PER_FRAME == 0:
                video.write_frame(tiled(env.pictures().numpy()))
    return path


def tiled(pictures: np.ndarray) -> np.ndarray:
    """Tile pictures (N, height, width, 3) into one, row by row on a nearly square grid; empty tiles are black."""
    num, height, width, colours = pictures.shape
    columns = math.ceil(math.sqrt(num))
    rows = math.ceil(num / columns)
    sheet = np.zeros((rows * columns, height, width, colours), dtype=pictures.dtype)
    sheet[:num] = pictures
    grid = sheet.reshape(rows, columns, height, width, colours).swapaxes(1, 2)
    return grid.reshape(rows * height, columns * width, colours)
