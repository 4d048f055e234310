"""Runs with the simulator that are interrupted and go on, as whole commands."""

from __future__ import annotations

import shutil

import pytest

import train
from tests.same_run import compare, curve

pytestmark = pytest.mark.sim

TERRAIN = ["env.scene.terrain.terrain_generator.num_rows=4", "env.scene.terrain.max_init_terrain_level=3"]
SMALL = ["device=cpu", "num_envs=8", *TERRAIN]
"""Robots begin on ground of all levels; those that fall go to easier ground."""


@pytest.mark.parametrize("task", ["blind_rl", "phase_1_scan_rl"])
def test_a_run_on_the_robot_that_was_interrupted_ends_as_one_that_was_not_to_the_last_bit(command, tmp_path, task):
    arguments = [f"task={task}", *SMALL, "trainer.max_epochs=4", "checkpoint.every=2", "checkpoint.export=false"]
    assert command(train.main, *arguments, "run.dir=straight")[0] == 0
    # As if it had been killed before its last checkpoint.
    shutil.copytree("straight", "parted", symlinks=True)
    (tmp_path / "parted/checkpoints/epoch=3.ckpt").unlink()
    code, out, err = command(train.main, "resume=parted")
    assert (code, err) == (0, "")
    assert "resuming parted/checkpoints/epoch=1.ckpt" in out
    assert compare(tmp_path / "straight", tmp_path / "parted") == ""
    assert len({row["curriculum/terrain_levels"] for row in curve(tmp_path / "straight")}) > 1
