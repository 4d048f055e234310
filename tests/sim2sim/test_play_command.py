"""The play command with policies of the robot in plain MuJoCo; Isaac Lab is not there."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import pytest
import torch

import play
from rlmpc.algorithms.ppo.settings import PpoCfg
from rlmpc.algorithms.student.settings import StudentCfg
from rlmpc.algorithms.table import ALGORITHMS
from rlmpc.checkpoint.file import describe_run
from rlmpc.config.agent import AgentCfg
from rlmpc.contract.contract import Contract
from rlmpc.export.deployment import load_deployment

pytestmark = pytest.mark.slow

GRID = ["terrains=[flat]", "levels=[0]", "command=[0.5,0,0]"]
SHORT = [*GRID, "steps=20", "run.dir=results"]
SIZES: dict[str, Any] = {"actor_hidden": [16, 16], "num_minibatches": 1}
CONFIG = {"stage": "distill", "task": {"name": "blind_rl"}, "env": {}, "deterministic": False}
STUDENT = StudentCfg(actor_group="policy", memory="gru", memory_width=8, **SIZES)
TEACHER = PpoCfg(actor_group="critic", critic_group="critic", critic_hidden=[16], **SIZES)


@pytest.fixture
def checkpoint(tmp_path, contract_data) -> Callable[..., Path]:
    """Writes a checkpoint as if an agent had been trained for this robot; its weights are random."""

    def write(agent: AgentCfg = STUDENT, contract: dict[str, Any] = contract_data) -> Path:
        torch.manual_seed(0)
        policy = ALGORITHMS[agent.algorithm].policy()(agent, Contract.from_dict(contract))
        ranges = {"lin_vel_x": [-0.1, 0.1], "lin_vel_y": [-0.1, 0.1], "ang_vel_z": [-0.1, 0.1]}
        content = {
            "epoch": 6,
            "state_dict": {f"policy.{name}": values for name, values in policy.state_dict().items()},
            "hyper_parameters": {"agent": asdict(agent), "contract": contract},
            "RolloutDataModule": {"ranks": [{"curriculum": {"terms": {"base_velocity": ranges}}}]},
            "rlmpc": describe_run(CONFIG | {"agent": {"algorithm": agent.algorithm}}, {}),
        }
        path = tmp_path / "policy.ckpt"
        torch.save(content, path)
        return path

    return write


def episodes(folder: str) -> list[dict[str, str]]:
    with Path(folder, "evaluation.csv").open() as file:
        return list(csv.DictReader(file))


def refused(command, *arguments: str) -> str:
    """What the command says in one line that must fail; nothing new may be left behind."""
    before = sorted(Path.cwd().rglob("*"))
    code, _, err = command(play.main, *arguments)
    assert code == 2
    assert sorted(Path.cwd().rglob("*")) == before
    assert len(err.splitlines()) == 1
    return err


@pytest.mark.parametrize("name", ["exported", "exported/policy.onnx", "exported/policy.json"])
def test_an_exported_policy_plays(command, export, name: str):
    export()
    code, out, _ = command(play.main, f"ckpt={name}", *SHORT)
    assert code == 0
    (row,) = episodes("results")
    assert (row["terrain"], row["level"], row["command"], row["reason"]) == ("flat", "0", "0.5 0 0", "time_out")
    assert float(row["length_s"]) == pytest.approx(0.4)
    header = json.loads(Path("results/evaluation.json").read_text())["header"]
    assert (header["task"], header["algorithm"], header["iteration"]) == ("blind_rl", "ppo", 7)
    assert header["policy"] == "exported/policy.onnx"
    assert "1 episodes of 0.4 s in MuJoCo" in out
    assert "energy" in out and "followed" in out
    assert "outside the range" not in out


def test_results_of_an_exported_policy_go_beside_it(command, export):
    export()
    for name in ("exported", "exported/policy.onnx"):
        command(play.main, f"ckpt={name}", *GRID, "steps=2")
    assert {path.parents[1] for path in Path.cwd().rglob("evaluation.csv")} == {Path.cwd() / "exported/play"}


def test_a_students_checkpoint_is_exported_and_plays(command, checkpoint):
    code, out, _ = command(play.main, f"ckpt={checkpoint()}", "backend=mujoco", *SHORT)
    assert code == 0
    assert "isaaclab" not in sys.modules or sys.modules["isaaclab"] is None
    assert load_deployment(Path("results/export")).memories == ("hidden",)
    assert len(episodes("results")) == 1
    assert "lin_vel_x = 0.5 lies outside the range in which the policy was trained last: -0.1 to 0.1" in out
    header = json.loads(Path("results/evaluation.json").read_text())["header"]
    assert (header["algorithm"], header["iteration"], header["backend"]) == ("student", 7, "mujoco")


def test_a_policy_over_the_predictive_controller_is_exported_with_it_and_walks(command, checkpoint, controlled_data):
    path = checkpoint(STUDENT, controlled_data)
    code, _, err = command(play.main, f"ckpt={path}", "backend=mujoco", *GRID, "steps=30", "run.dir=results")
    assert code == 0, err
    (row,) = episodes("results")
    assert row["reason"] == "time_out"
    described = json.loads(Path("results/export/policy.json").read_text())
    assert described["contract"]["actions"][0]["walk.period_s"] == 0.56
    assert described["manual"]["controller"]["code"].startswith("rlmpc.mpc.single.SingleController")
    assert "python play.py ckpt=DIR backend=mujoco" in Path("results/export/README.md").read_text()


def test_a_seed_repeats_an_evaluation_and_another_gives_another(command, export):
    for name, seed in (("first", 3), ("again", 3), ("other", 4)):
        command(play.main, f"ckpt={export()}", *GRID, "steps=10", f"seed={seed}", f"run.dir={name}")
    first, again, other = (Path(name, "evaluation.csv").read_bytes() for name in ("first", "again", "other"))
    assert first == again
    assert first != other


@pytest.mark.parametrize("asked", [[], ["evaluate=false", "video=true"]])
def test_a_policy_whose_actions_are_not_finite_ends_with_a_sentence(command, export, senseless, asked: list[str]):
    code, out, err = command(play.main, f"ckpt={export(senseless)}", *SHORT, *asked)
    assert code == 1
    assert "the policy's actions are not finite" in err
    assert len(err.splitlines()) == 1
    if not asked:
        assert "1 of 1 episodes ended so" in err
        assert "non_finite_action 1" in out
        assert [row["reason"] for row in episodes("results")] == ["non_finite_action"]
        assert not any(path.name.endswith("lock") for path in Path("results").iterdir())


def test_a_video_shows_every_control_step(command, export):
    code, _, _ = command(play.main, f"ckpt={export()}", *SHORT, "video=true", "evaluate=false")
    assert code == 0
    assert [path.name for path in Path("results").iterdir()] == ["video.mp4"]
    frames = iio.imread("results/video.mp4", plugin="pyav")
    assert len(frames) == 20
    assert frames[0].std() > 10.0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["terrains=[stares_up]"],
            "there is no terrain 'stares_up'; known: flat, stairs_up, stairs_down; did you mean",
        ),
        (["levels=[10]"], "there is no level 10; accepted: 0 to 9"),
        (["command=[1.0]"], "the command [1.0] does not fit; accepted: 3 numbers (lin_vel_x, lin_vel_y, ang_vel_z)"),
        (["command=[.nan,0,0]"], "every entry of 'command' must be finite, not nan"),
        (["metrics=[sucess_rate]"], "did you mean 'success_rate'?"),
        (["env.decimation=2"], "'env' has no effect in MuJoCo"),
        (["num_envs=4"], "'num_envs' has no effect in MuJoCo"),
        (["device=cuda"], "MuJoCo runs on the CPU, not on device 'cuda'"),
        (["export=true"], "is exported already"),
        (["run.dir=exported"], "the run folder 'exported' is not empty"),
        (["run.dir=exported/policy.onnx/below"], "cannot be written"),
    ],
)
def test_bad_input_is_refused(command, export, arguments: list[str], sentence: str):
    assert sentence in refused(command, f"ckpt={export()}", *arguments)


@pytest.mark.parametrize("name", ["policy.onnx", "policy.json"])
@pytest.mark.parametrize("kept", [0, 100, None])
def test_a_missing_or_truncated_file_is_refused(command, export, name: str, kept: int | None):
    path = export() / name
    content = path.read_bytes()
    path.unlink()
    if kept is not None:
        path.write_bytes(content[:kept])
    assert name in refused(command, "ckpt=exported/policy.onnx", *SHORT)


def test_a_policy_that_needs_what_only_training_knows_is_refused(command, checkpoint):
    err = refused(command, f"ckpt={checkpoint(TEACHER)}", "backend=mujoco", *SHORT)
    assert "observation 'base_lin_vel' of group 'critic' cannot be sensed in MuJoCo" in err


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda c: c["observations"]["policy"][0].update(name="joint_pose"), "did you mean 'joint_pos'?"),
        (lambda c: c["observations"]["policy"][0].update(dim=10, history=29), "has 10 features, but 29 in MuJoCo"),
        (lambda c: c["actions"][1].update(name="gait"), "action 'gait' of the policy is not carried out in MuJoCo"),
        (lambda c: c["joints"]["names"].__setitem__(0, "tail"), "is ['left_hip_pitch_joint']; actions should"),
        (
            lambda c: [names.__setitem__(0, "tail") for names in (c["joints"]["names"], c["actions"][0]["joints"])],
            "tail",
        ),
        (lambda c: c["joints"]["damping"].pop(), "damping"),
        (lambda c: c["actions"][0].pop("offset"), "offset"),
        (lambda c: c["observations"]["policy"][0].update(scale=[1.0, 2.0]), "should have 29 entries"),
        (lambda c: c.update(control_dt=0.0), "control_dt"),
    ],
)
def test_a_checkpoint_of_another_robot_is_refused(command, checkpoint, edit, sentence: str):
    path = checkpoint()
    content = torch.load(path, weights_only=True)
    edit(content["hyper_parameters"]["contract"])
    torch.save(content, path)
    assert sentence in refused(command, f"ckpt={path}", "backend=mujoco", *SHORT)


def test_another_history_or_network_size_is_refused_with_what_differs(command, checkpoint, contract_data):
    path = checkpoint()
    content = torch.load(path, weights_only=True)
    content["hyper_parameters"]["contract"]["observations"]["policy"][0]["history"] = 8
    torch.save(content, path)
    code, _, err = command(play.main, f"ckpt={path}", "backend=mujoco", *SHORT)
    assert code == 2
    assert "normalizers.policy.mean: float32 [779] | float32 [721]" in err
    assert not Path("results").exists()
