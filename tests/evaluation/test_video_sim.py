"""Filming robots."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import imageio.v3 as iio
import numpy as np
import pytest
import torch

from rlmpc.contract.episode import Trial
from rlmpc.errors import UserError
from rlmpc.evaluation.video import film
from rlmpc.rollout.interaction import Action

pytestmark = pytest.mark.sim

NUM_FRAMES = 20


@pytest.fixture(scope="module")
def frames(tmp_path_factory) -> np.ndarray:
    """A film of two robots that sink to their knees, on stairs and on boxes, (20, height, width, 3)."""
    from rlmpc.envs.isaaclab.env import IsaacLabEnv, load_env_cfg
    from rlmpc.tasks import camera

    cfg = camera.with_camera(load_env_cfg("RLMPC-Blind-G1-Play-v0"), 2)
    cfg.scene.terrain.terrain_generator.num_rows = 2
    cfg.scene.camera.width, cfg.scene.camera.height = 160, 120
    env = IsaacLabEnv(cfg, 2, torch.device("cpu"), seed=1)
    env.place([Trial("stairs_up", 1, (0.5, 0.0, 0.0)), Trial("random_boxes", 1, (0.5, 0.0, 0.0))])
    idle = SimpleNamespace(
        initial_memory=lambda num_envs: {},
        act=lambda obs, memory, deterministic: Action(torch.zeros(2, 30)),
    )
    path: Path = tmp_path_factory.mktemp("film") / "below" / "robots.mp4"
    assert film(env, idle, path, 2 * NUM_FRAMES) == path
    env.close()
    return iio.imread(path, plugin="pyav")


def test_there_is_a_picture_of_every_second_step_with_both_robots_side_by_side(frames: np.ndarray):
    assert frames.shape == (NUM_FRAMES, 120, 320, 3)


def test_the_robots_move(frames: np.ndarray):
    for half in (frames[:, :, :160], frames[:, :, 160:]):
        changes = np.abs(half[1:].astype(int) - half[:-1]).max(axis=(1, 2, 3))
        assert (changes > 40).all()


def test_both_halves_show_something_and_not_the_same(frames: np.ndarray):
    left, right = frames[-1, :, :160].astype(int), frames[-1, :, 160:].astype(int)
    assert left.std() > 15
    assert right.std() > 15
    assert np.abs(left - right).mean() > 5


def test_more_robots_than_four_are_not_filmed():
    from rlmpc.tasks.camera import with_camera

    with pytest.raises(UserError, match="5 robots cannot be filmed at once; accepted: 1 to 4"):
        with_camera(SimpleNamespace(), 5)
