"""Runs with the simulator that are interrupted and go on, as whole commands."""

from __future__ import annotations

import shutil

import pytest

import train
from rlmpc.checkpoint.file import load_checkpoint
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
    assert len({row["curriculum/terrain_levels/mean"] for row in curve(tmp_path / "straight")}) > 1


def test_the_settings_win_over_the_saved_state(command, tmp_path):
    """Of what is drawn at the start, of terms that are switched off, and of the ranges of commands."""
    arguments = ["task=blind_rl", *SMALL, "checkpoint.export=false", "run.dir=run", "agent.num_steps=4"]
    assert command(train.main, *arguments, "trainer.max_epochs=1")[0] == 0
    before = load_checkpoint(tmp_path / "run/checkpoints/epoch=0.ckpt")
    assert before.ranks[0]["state"]["physics.friction"].unique().numel() > 4
    changed = {
        "events.friction.params.static_friction_range": "[0.55,0.55]",
        "events.push": "null",
        "commands.base_velocity.ranges.lin_vel_x": "[0.25,0.35]",
        "rewards.alive.weight": "0.2",
    }
    given = [f"env.{path}={value}" for path, value in changed.items()]
    code, out, err = command(train.main, "resume=run", "trainer.max_epochs=2", *given)
    assert (code, err) == (0, "")
    after = load_checkpoint(tmp_path / "run/checkpoints/epoch=1.ckpt")
    frictions = after.ranks[0]["state"]["physics.friction"].unique()
    assert {round(value, 4) for value in frictions.tolist()} - {0.55} <= set(
        before.ranks[0]["state"]["physics.friction"].unique().tolist()
    )
    assert after.command_ranges["lin_vel_x"] == [0.25, 0.35]
    (line,) = (line for line in out.splitlines() if "start anew with what changed" in line)
    hidden = [f"env.{path}" for path in changed if not path.startswith("rewards")]
    assert all(path in line for path in hidden) and "rewards" not in line
    assert "env.events.push: on | off" in out
    assert "env.rewards.alive.weight: 0.15 | 0.2" in out
    code, _, err = command(
        train.main, "resume=run", "trainer.max_epochs=3", "env.scene.terrain.max_init_terrain_level=0"
    )
    assert (code, "cannot change from 3 to 0 in a resumed run" in err) == (2, True)
