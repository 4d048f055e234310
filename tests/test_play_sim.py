"""Teacher to student to deployment by the commands that a user types, with the simulator."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

import play
import train
from rlmpc.checkpoint.file import load_checkpoint
from rlmpc.export.deployment import load_deployment
from rlmpc.robots.table import ROBOTS

pytestmark = pytest.mark.sim

TINY = ["device=cpu", "num_envs=4", "agent.num_steps=4", "logger=[]", "checkpoint.export=false"]
PLACE = ["terrains=[stairs_up]", "levels=[1]", "command=[1,0,0]"]
PLAYED = ["evaluation.csv", "evaluation.json", "export", "falls.png", "success.png", "tracking.png", "video.mp4"]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> Path:
    """The checkpoint of a teacher on ground with two levels."""
    run = tmp_path_factory.mktemp("teacher") / "run"
    ground = "env.scene.terrain.terrain_generator.num_rows=2"
    train.main(["stage=teacher", "task=blind_rl", *TINY, ground, "trainer.max_epochs=2", f"run.dir={run}"])
    return run / "checkpoints/epoch=1.ckpt"


@pytest.fixture(scope="module")
def student(teacher, tmp_path_factory) -> Path:
    """The checkpoint of a student of that teacher."""
    run = tmp_path_factory.mktemp("student") / "run"
    short = ["trainer.max_epochs=1", "agent.teacher_check_steps=5"]
    train.main(["stage=distill", f"teacher_ckpt={teacher}", *TINY, *short, f"run.dir={run}"])
    return run / "checkpoints/epoch=0.ckpt"


def episodes(folder: str) -> list[dict[str, str]]:
    with Path(folder, "evaluation.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_teacher_is_measured_filmed_and_exported_from_its_file_alone(command, teacher: Path):
    short = ["device=cpu", "steps=10", "num_envs=8", "episodes=9", "robots=1", "video=true", "export=true"]
    code, out, _ = command(play.main, f"ckpt={teacher}", *PLACE, *short, "run.dir=results")
    assert code == 0
    assert sorted(path.name for path in Path("results").iterdir()) == PLAYED
    assert [(row["terrain"], row["level"], row["command"]) for row in episodes("results")] == [
        ("stairs_up", "1", "1 0 0")
    ] * 9
    assert all(0.0 < float(row["length_s"]) <= 0.2 + 1e-6 for row in episodes("results"))
    header = json.loads(Path("results/evaluation.json").read_text())["header"]
    assert (header["task"], header["algorithm"], header["iteration"]) == ("blind_rl", "ppo", 2)
    for line in (
        "events.push: on in training, off here",
        "round 2 of 2: 1 episodes",
        "lin_vel_x = 1 lies outside the range in which the policy was trained last: 0.3 to 0.8",
        "video of stairs_up at level 1, command [1.0, 0.0, 0.0]",
    ):
        assert line in out
    frames = iio.imread("results/video.mp4", plugin="pyav").astype(int)
    assert len(frames) == 5
    assert frames[0].std() > 15
    assert (np.abs(frames[1:] - frames[:-1]).max(axis=(1, 2, 3)) > 20).all()
    deployment = load_deployment(Path("results/export"))
    assert (deployment.task, deployment.groups, deployment.contract.num_actions) == ("blind_rl", ("teacher",), 30)


def test_a_student_walks_in_mujoco(command, student: Path):
    short = ["backend=mujoco", "terrains=[flat,stairs_up]", "levels=[1]", "command=[0.5,0,0]", "steps=20"]
    code, _, _ = command(play.main, f"ckpt={student}", *short, "run.dir=results")
    assert code == 0
    assert [(row["terrain"], row["reason"]) for row in episodes("results")] == [
        ("flat", "time_out"),
        ("stairs_up", "time_out"),
    ]
    described = json.loads(Path("results/export/policy.json").read_text())
    assert described["checkpoint_sha256"] == load_checkpoint(student).sha256
    assert described["manual"]["robot"]["sha256"] == ROBOTS["g1_29dof"].revision
    assert all(text is not None for term in described["manual"]["observations"]["policy"] for text in term.values())


def test_a_teacher_that_knows_what_no_robot_senses_does_not_walk_in_mujoco(command, teacher: Path):
    code, _, err = command(play.main, f"ckpt={teacher}", "backend=mujoco", "run.dir=results")
    assert code == 2
    assert "of group 'teacher' cannot be sensed in MuJoCo" in err
    assert not Path("results").exists()


def test_a_world_that_the_teacher_does_not_know_is_refused_with_what_differs(command, teacher: Path):
    policy = "env.observations.policy"
    overrides = [f"{policy}.joint_vel.scale=0.1", f"{policy}.joint_pos.history_length=8", "env.decimation=2"]
    short = [*TINY, "trainer.max_epochs=1", "run.dir=run"]
    code, _, err = command(train.main, "stage=distill", f"teacher_ckpt={teacher}", *short, *overrides)
    assert code == 2
    first, *found = err.splitlines()
    assert "does not fit this environment; what differs (there | here):" in first
    assert sorted(line.strip() for line in found) == [
        "control_dt: 0.02 | 0.01",
        "observations.policy.joint_pos.history: 10 | 8",
        "observations.policy.joint_vel.scale: 0.05 | 0.1",
    ]
    assert not list(Path("run").rglob("*.ckpt"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["terrains=[stair_up]", "export=true"], "did you mean 'stairs_up'?"),
        (["levels=[2]"], "there is no level 2; accepted: 0 to 1"),
        (["command=[1.0]"], "accepted: 3 numbers (lin_vel_x, lin_vel_y, ang_vel_z)"),
        (["evaluate=false", "video=true", "command=[1.0]"], "accepted: 3 numbers (lin_vel_x, lin_vel_y, ang_vel_z)"),
        (["env.decimation=2"], "control_dt: 0.02 | 0.01"),
        (["env.scene.num_envs=2"], "'env.scene.num_envs' is set by 'num_envs'"),
    ],
)
def test_what_does_not_exist_is_refused_and_nothing_is_written(command, student: Path, arguments, sentence):
    code, _, err = command(play.main, f"ckpt={student}", "device=cpu", "num_envs=2", *arguments, "run.dir=results")
    assert code == 2
    assert sentence in err
    assert not Path("results").exists()
