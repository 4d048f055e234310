"""The commands that build upon a checkpoint, in this process, on the toy environment."""

from __future__ import annotations

import os
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

import train
from rlmpc.algorithms.restore import restore_policy
from rlmpc.algorithms.student.learner import StudentLearner
from rlmpc.checkpoint.file import load_checkpoint
from rlmpc.command_line.train import compose_train
from rlmpc.envs.toy import ToyEnv

pytestmark = pytest.mark.slow

SMALL = ["device=cpu", "num_envs=16", "trainer.max_epochs=2", "logger=[]", "checkpoint.export=false"]
STUDENT = ["agent.actor_hidden=[16,16]", "agent.memory_width=8", "agent.num_steps=8"]
DISTILL = ["stage=distill", *SMALL, *STUDENT, "agent.teacher_check_steps=5"]
FINETUNE = ["stage=finetune", *SMALL, "agent.num_steps=8"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> dict[str, Path]:
    """Checkpoints of two teachers and of two students of the first; its world has an override of its own."""
    root = tmp_path_factory.mktemp("runs")

    def run(name: str, *arguments: str) -> Path:
        train.main([*arguments, *SMALL, f"run.dir={root / name}"])
        return root / name / "checkpoints/epoch=1.ckpt"

    world = ["task=toy", "env.max_wind=0.5", "env.episode_length_s=2.0"]
    paths = {agent: run(agent, *world, f"agent={agent}", "agent.num_steps=8") for agent in ("ppo", "rma")}
    for memory in ("none", "gru"):
        origin = [f"teacher_ckpt={paths['ppo']}", f"agent.memory={memory}", "agent.teacher_check_steps=5"]
        paths[memory] = run(memory, "stage=distill", *origin, *STUDENT)
    return paths


def edited(path: Path, edit: Callable[[dict[str, Any]], Any], to: str = "edited.ckpt") -> str:
    """A copy of a checkpoint in the current folder with something changed."""
    content = torch.load(path, weights_only=True)
    edit(content)
    torch.save(content, to)
    return to


def refused(command, *arguments: str) -> str:
    """What a command says that must fail; nothing new may be left behind."""
    before = sorted(Path.cwd().rglob("*"))
    code, _, err = command(train.main, *arguments, "run.dir=run")
    assert code == 2
    assert sorted(Path.cwd().rglob("*")) == before
    return err.removeprefix("train.py: ").strip()


def test_task_and_world_come_from_the_teachers_checkpoint_and_arguments_stand_above_them(command, saved, tmp_path):
    code, _, _ = command(
        train.main, *DISTILL, f"teacher_ckpt={saved['ppo']}", "env.episode_length_s=3.0", "seed=7", "run.dir=run"
    )
    assert code == 0
    config = OmegaConf.load(tmp_path / "run/config.yaml")
    assert config.task.name == "toy"
    assert config.env == {"max_wind": 0.5, "episode_length_s": 3.0}
    assert config.teacher_ckpt == str(saved["ppo"])
    assert (config.stage, config.agent.algorithm, config.seed) == ("distill", "student", 7)


def test_the_world_is_made_as_the_teachers_was(command, saved, monkeypatch):
    made = []
    original = ToyEnv.__init__

    def init(self: ToyEnv, cfg: Any, *arguments: Any) -> None:
        made.append(deepcopy(cfg))
        original(self, cfg, *arguments)

    monkeypatch.setattr(ToyEnv, "__init__", init)
    command(train.main, *DISTILL, f"teacher_ckpt={saved['ppo']}", "env.max_wind=0.25", "run.dir=run")
    command(train.main, *FINETUNE, f"student_ckpt={saved['none']}", "run.dir=run2")
    assert [(cfg.max_wind, cfg.episode_length_s) for cfg in made] == [(0.25, 2.0), (0.5, 2.0)]


def test_the_teacher_is_looked_at_and_compared_with_its_checkpoint(command, saved):
    numbers = load_checkpoint(saved["ppo"]).numbers
    _, out, _ = command(train.main, *DISTILL, f"teacher_ckpt={saved['ppo']}", "run.dir=run")
    assert "teacher of iteration 2, 5 steps x 16: reward per step" in out
    assert f"({numbers['episode/reward_per_step']:.4f} in its checkpoint), falls per minute" in out
    _, out, _ = command(
        train.main, *DISTILL, f"teacher_ckpt={saved['ppo']}", "agent.teacher_check_steps=0", "run.dir=unchecked"
    )
    assert "teacher of iteration" not in out


@pytest.mark.parametrize("teacher", ["ppo", "rma"])
def test_the_students_checkpoint_holds_its_teacher(command, saved, teacher: str):
    command(train.main, *DISTILL, f"teacher_ckpt={saved[teacher]}", "run.dir=run")
    origin, student = load_checkpoint(saved[teacher]), load_checkpoint(Path("run/checkpoints/last.ckpt"))
    held = student.hyperparameters["teacher"]
    assert held["sha256"] == origin.sha256
    assert held["agent"] == origin.hyperparameters["agent"]
    assert held["numbers"] == origin.numbers
    assert held["iteration"] == 2
    assert held["evaluation"].keys() == {"reward_per_step", "falls_per_minute"}
    for name, values in origin.state_dict.items():
        assert torch.equal(values, student.state_dict[name.replace("policy.", "teacher.", 1)]), name


@pytest.mark.parametrize("kind", ["none", "gru"])
def test_a_student_is_rebuilt_from_its_checkpoint_alone(saved, kind: str):
    checkpoint = load_checkpoint(saved[kind])
    learner = StudentLearner(**checkpoint.hyperparameters)
    learner.load_state_dict(checkpoint.state_dict)
    policy = restore_policy(checkpoint)
    obs, start = {"policy": torch.randn(4, 42)}, policy.initial_memory(4)
    acted, again = (p.act(obs, start, deterministic=True).action for p in (policy, learner.policy))
    assert torch.equal(acted, again)
    assert acted.any()


def test_an_adapting_teacher_teaches_what_it_knows(command, saved):
    code, _, _ = command(
        train.main, *DISTILL, f"teacher_ckpt={saved['rma']}", "agent.predictions={latent: 0.1, velocity: 0.1}",
        "run.dir=run",
    )  # fmt: skip
    assert code == 0
    numbers = load_checkpoint(Path("run/checkpoints/last.ckpt")).numbers
    assert {"loss/latent", "loss/velocity"} <= numbers.keys()


@pytest.mark.parametrize("kind", ["none", "gru"])
def test_a_student_goes_on_by_reward_with_the_network_that_it_has(command, saved, kind: str):
    code, _, _ = command(train.main, *FINETUNE, f"student_ckpt={saved[kind]}", "agent.critic_warmup=5", "run.dir=run")
    assert code == 0
    student, tuned = load_checkpoint(saved[kind]), load_checkpoint(Path("run/checkpoints/last.ckpt"))
    assert tuned.hyperparameters["agent"]["actor_hidden"] == [16, 16]
    assert tuned.hyperparameters["agent"]["memory"] == kind
    for name, values in student.state_dict.items():
        if name.startswith(("policy.actor", "policy.memory", "policy.noise")):
            assert torch.equal(values, tuned.state_dict[name]), name


def test_a_checkpoint_is_found_by_its_runs_folder_as_the_latest_and_as_the_best(saved, tmp_path):
    folder = saved["ppo"].parents[1]
    for where in (folder, folder / "best"):
        assert compose_train(["stage=distill", f"teacher_ckpt={where}"])[0].teacher_ckpt == str(saved["ppo"])
    root = tmp_path / "logs/toy/teacher/checkpoints"
    root.mkdir(parents=True)
    (root / "epoch=1.ckpt").write_bytes(saved["ppo"].read_bytes())
    for where in ("latest", "best"):
        given = ["stage=distill", f"teacher_ckpt={where}", f"run.root={tmp_path / 'logs'}"]
        assert compose_train(given)[0].teacher_ckpt == str(root / "epoch=1.ckpt")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["stage=distill"], "stage=distill needs a checkpoint: teacher_ckpt=PATH"),
        (["stage=distill", "task=toy"], "stage=distill needs a checkpoint: teacher_ckpt=PATH"),
        (["stage=finetune"], "stage=finetune needs a checkpoint: student_ckpt=PATH"),
        (["stage=distill", "teacher_ckpt=null"], "stage=distill needs a checkpoint"),
        (["stage=distill", "teacher_ckpt=none.ckpt"], "there is no checkpoint 'none.ckpt'"),
        (["stage=distill", "teacher_ckpt=latest"], "there is no checkpoint below 'logs'"),
        (["task=toy", "teacher_ckpt={ppo}"], "'teacher_ckpt' is for stage=distill, not for stage=teacher"),
        (["task=toy", "student_ckpt={none}"], "'student_ckpt' is for stage=finetune, not for stage=teacher"),
        (["stage=distill", "student_ckpt={none}"], "'student_ckpt' is for stage=finetune, not for stage=distill"),
        (["stage=distill", "teacher_ckpt={none}"], "holds agent 'student', but teacher_ckpt takes one of ppo, rma"),
        (["stage=finetune", "student_ckpt={ppo}"], "holds agent 'ppo', but student_ckpt takes one of student"),
        (
            ["stage=distill", "teacher_ckpt={ppo}", "agent=ppo"],
            "stage 'distill' does not train agent 'ppo'; accepted: student",
        ),
        (["task=toy", "agent=student"], "stage 'teacher' does not train agent 'student'; accepted: ppo, rma"),
        (["stage=distill", "teacher_ckpt={ppo}", "agent.loss=mes"], "did you mean 'mse'"),
        (["stage=distill", "teacher_ckpt={ppo}", "agent.memory=gur"], "did you mean 'gru'"),
        (["stage=distill", "teacher_ckpt={ppo}", "agent.beta_iterations=-1"], "must be at least 0, not -1"),
        (["stage=distill", "teacher_ckpt={ppo}", "agent.actor_group=polcy"], "did you mean 'policy'"),
        (["stage=distill", "teacher_ckpt={ppo}", "agent.teacher_check_steps=-1"], "check_steps' must be at least 0"),
        (
            ["stage=distill", "teacher_ckpt={ppo}", "agent.predictions.latent=1", "device=cpu", "num_envs=16"],
            "epoch=1.ckpt' can teach nothing beside its actions",
        ),
        (
            ["stage=distill", "teacher_ckpt={ppo}", "agent.memory=gru", "num_envs=12", "device=cpu"],
            "num_envs = 12 is not divisible into agent.num_minibatches = 8",
        ),
    ],
)
def test_bad_input_ends_with_one_sentence_exit_code_2_and_nothing_written(command, saved, arguments, sentence):
    err = refused(command, *(argument.format(**saved) for argument in arguments))
    assert sentence in err
    assert len(err.splitlines()) == 1


def term(content: dict[str, Any], group: str, index: int) -> dict[str, Any]:
    return content["hyper_parameters"]["contract"]["observations"][group][index]


def swap_terms(content: dict[str, Any], group: str) -> None:
    terms = content["hyper_parameters"]["contract"]["observations"][group]
    terms[0], terms[1] = terms[1], terms[0]


CONTRACT_EDITS = {
    "order of the teacher": (
        lambda c: swap_terms(c, "teacher"),
        "observations.teacher, order: gain, velocity, drag, wind",
    ),
    "order of the student": (
        lambda c: swap_terms(c, "policy"),
        "observations.policy, order: last_action, target_error, position | target_error, last_action, position",
    ),
    "scale": (lambda c: term(c, "policy", 0).update(scale=0.5), "observations.policy.target_error.scale: 0.5 | 1"),
    "clip": (lambda c: term(c, "teacher", 0).update(clip=[-1.0, 1.0]), "observations.teacher.velocity.clip: [-1.0, 1"),
    "history": (
        lambda c: term(c, "policy", 0).update(history=8),
        "observations.policy.target_error.history: 8 | 10",
    ),
    "control rate": (lambda c: c["hyper_parameters"]["contract"].update(control_dt=0.02), "control_dt: 0.02 | 0.05"),
    "action scale": (
        lambda c: c["hyper_parameters"]["contract"]["actions"][0].update(scale=2.0),
        "actions.push.scale: 2 | 4",
    ),
    "group": (
        lambda c: c["hyper_parameters"]["contract"]["observations"].pop("policy"),
        "observations.policy: missing | [",
    ),
}


@pytest.mark.parametrize("name", CONTRACT_EDITS)
def test_a_teacher_of_another_world_is_refused_with_what_differs(command, saved, name: str):
    edit, line = CONTRACT_EDITS[name]
    path = edited(saved["ppo"], edit)
    first, *lines = refused(command, *DISTILL, f"teacher_ckpt={path}").splitlines()
    assert first == f"'{path}' does not fit this environment; what differs (there | here):"
    assert len(lines) == 1
    assert line in lines[0]


@pytest.mark.parametrize("name", ["order of the student", "scale", "control rate", "action scale"])
def test_a_student_of_another_world_is_refused_with_what_differs(command, saved, name: str):
    edit, line = CONTRACT_EDITS[name]
    err = refused(command, *FINETUNE, f"student_ckpt={edited(saved['gru'], edit)}")
    assert "does not fit this environment; what differs (there | here):" in err
    assert line in err


def test_a_world_that_was_changed_by_an_argument_is_refused_with_what_differs(command, saved):
    err = refused(command, *DISTILL, f"teacher_ckpt={saved['ppo']}", "env.history=8")
    lines = [f"observations.{g}.{t}.history: 10 | 8" for g in ("teacher", "policy")
             for t in ("target_error", "last_action")]  # fmt: skip
    assert all(f"\n  {line}" in err for line in lines)
    assert len(err.splitlines()) == 1 + len(lines)
    err = refused(command, *FINETUNE, f"student_ckpt={saved['none']}", "env.step_dt=0.1")
    assert err.splitlines()[1:] == ["  control_dt: 0.05 | 0.1"]


def test_another_order_of_the_joints_is_refused_with_what_differs(command, saved, monkeypatch):
    original = ToyEnv.__init__

    def init(self: ToyEnv, *arguments: Any) -> None:
        original(self, *arguments)
        self.contract = replace(self.contract, joints={"names": ["left", "right"], "default_pos": [0.1, 0.2]})

    monkeypatch.setattr(ToyEnv, "__init__", init)
    joints = {"names": ["left", "right"], "default_pos": [0.1, 0.2]}
    same = edited(saved["ppo"], lambda c: c["hyper_parameters"]["contract"].update(joints=joints), "same.ckpt")
    assert command(train.main, *DISTILL, f"teacher_ckpt={same}", "run.dir=fits")[0] == 0
    joints = {name: values[::-1] for name, values in joints.items()}
    other = edited(saved["ppo"], lambda c: c["hyper_parameters"]["contract"].update(joints=joints))
    assert refused(command, *DISTILL, f"teacher_ckpt={other}").splitlines()[1:] == [
        "  joints.names: 2 of 2 entries, the first at 0: right | left",
        "  joints.default_pos: 2 of 2 entries, the first at 0: 0.2 | 0.1",
    ]


@pytest.mark.parametrize("kind", ["ppo", "rma", "none", "gru"])
def test_another_network_size_in_the_checkpoint_is_refused_with_what_differs(command, saved, kind: str):
    def edit(content: dict[str, Any]) -> None:
        content["hyper_parameters"]["agent"]["actor_hidden"] = [16, 24]

    is_teacher = kind in ("ppo", "rma")
    stage, key = (DISTILL, "teacher_ckpt") if is_teacher else (FINETUNE, "student_ckpt")
    first, *lines = refused(command, *stage, f"{key}={edited(saved[kind], edit)}").splitlines()
    assert first == "the weights in 'edited.ckpt' do not fit its networks (there | here):"
    assert f"  actor.2.weight: float32 {'[64, 64]' if is_teacher else '[16, 16]'} | float32 [24, 16]" in lines


def test_another_network_than_the_students_is_refused_with_what_differs(command, saved):
    err = refused(command, *FINETUNE, f"student_ckpt={saved['none']}", "agent.actor_hidden=[16,24]")
    unlike = "agent.actor_hidden is [16, 16] there and [16, 24] here"
    assert err == f"the weights in '{saved['none']}' are of another network: {unlike}"


def test_a_student_of_another_action_size_is_refused_with_what_differs(command, saved):
    def edit(content: dict[str, Any]) -> None:
        content["hyper_parameters"]["contract"]["actions"][0]["dim"] = 3
        for name, values in content["state_dict"].items():
            if name in ("policy.actor.4.weight", "policy.actor.4.bias", "policy.noise.log_std"):
                content["state_dict"][name] = torch.cat([values, values[:1]])

    for kind, stage, key in [("ppo", DISTILL, "teacher_ckpt"), ("none", FINETUNE, "student_ckpt")]:
        err = refused(command, *stage, f"{key}={edited(saved[kind], edit)}")
        assert err.splitlines()[1:] == ["  actions.push.dim: 3 | 2"]


@pytest.mark.parametrize("kind", ["ppo", "rma"])
def test_a_teacher_whose_settings_and_contract_do_not_belong_together_is_refused(command, saved, kind: str):
    def edit(content: dict[str, Any]) -> None:
        group = "teacher" if kind == "ppo" else "critic"
        del content["hyper_parameters"]["contract"]["observations"][group]

    err = refused(command, *DISTILL, f"teacher_ckpt={edited(saved[kind], edit)}")
    assert "'edited.ckpt'" in err
    assert len(err.splitlines()) == 1


def test_a_setting_that_this_version_does_not_know_is_refused(command, saved):
    path = edited(saved["ppo"], lambda c: c["hyper_parameters"]["agent"].update(symmetry=True))
    assert "holds 'hyper_parameters.agent.symmetry', which nothing reads" in refused(
        command, *DISTILL, f"teacher_ckpt={path}"
    )
    path = edited(saved["ppo"], lambda c: c["hyper_parameters"]["agent"].update(algorithm="sac"))
    assert "holds agent 'sac', but teacher_ckpt takes one of ppo, rma" in refused(
        command, *DISTILL, f"teacher_ckpt={path}"
    )


class Payload:
    """Leaves a file when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch ran",)


@pytest.mark.parametrize("stage", ["distill", "finetune"])
def test_a_checkpoint_that_would_run_code_is_refused_and_does_not_run(command, saved, stage: str):
    path = edited(saved["ppo"], lambda c: c.update(rlmpc=Payload()))
    key = {"distill": "teacher_ckpt", "finetune": "student_ckpt"}[stage]
    assert "could run code; refused" in refused(command, f"stage={stage}", f"{key}={path}")
    assert not Path("ran").exists()


def test_a_part_of_a_checkpoint_and_a_text_file_are_refused(command, saved):
    Path("cut.ckpt").write_bytes(saved["ppo"].read_bytes()[:10_000])
    Path("text.ckpt").write_text("a text")
    for name in ("cut.ckpt", "text.ckpt"):
        assert f"'{name}' is not a checkpoint" in refused(command, *DISTILL, f"teacher_ckpt={name}")
