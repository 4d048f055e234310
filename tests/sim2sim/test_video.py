"""Films of exported policies."""

from __future__ import annotations

import os
import subprocess
import sys

import imageio.v3 as iio
import numpy as np
import pytest

from rlmpc.contract.episode import Trial
from rlmpc.errors import UserError
from rlmpc.export.deployment import load_deployment
from rlmpc.sim2sim.video import film_in_mujoco, make_renderer, picture

pytestmark = pytest.mark.slow

STAIRS = Trial("stairs_up", 9, (0.0, 0.0, 0.0))


@pytest.fixture
def needs_gl(simulation):
    try:
        make_renderer(simulation.model).close()
    except UserError as error:
        pytest.skip(str(error))


def test_a_film_has_a_frame_a_step_and_shows_the_robot_moving(needs_gl, export, tmp_path):
    path = film_in_mujoco(load_deployment(export()), STAIRS, tmp_path / "new" / "film.mp4", steps=6, seed=1)
    frames = iio.imread(path, plugin="pyav")
    assert frames.shape == (6, 480, 640, 3)
    assert np.abs(frames[0].astype(int) - frames[-1]).max() > 30
    assert iio.immeta(path, plugin="pyav")["fps"] == 50


def test_the_camera_follows_the_robot(needs_gl, simulation):
    with make_renderer(simulation.model) as renderer:
        simulation.step(np.zeros(30))
        here = picture(renderer, simulation).astype(int)
        # Two squares of the ground's pattern further, everything looks the same.
        simulation.data.qpos[0] += 2.0
        simulation.step(np.zeros(30))
        there = picture(renderer, simulation).astype(int)
    assert np.median(np.abs(here - there)) < 3
    assert 60 < here.mean() < 200


def test_without_graphics_a_film_ends_with_one_sentence(export, tmp_path):
    code = (
        "import sys\nfrom pathlib import Path\nfrom rlmpc.errors import UserError\n"
        "from rlmpc.contract.episode import Trial\n"
        "from rlmpc.export.deployment import load_deployment\nfrom rlmpc.sim2sim.video import film_in_mujoco\n"
        "trial = Trial('flat', 0, (0., 0., 0.))\n"
        "try:\n    film_in_mujoco(load_deployment(Path(sys.argv[1])), trial, Path(sys.argv[2]), 1, 0)\n"
        "except UserError as error:\n    print(error)\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"} | {"MUJOCO_GL": "glfw"}
    arguments = [sys.executable, "-c", code, str(export()), str(tmp_path / "film.mp4")]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("MuJoCo cannot render here, so there is no video")
    assert not (tmp_path / "film.mp4").exists()
