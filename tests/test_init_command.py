"""`init_ckpt`: a new run starts with the weights of another one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

import train
from rlmpc.checkpoint.file import load_checkpoint
from rlmpc.command_line.again import goes_on
from rlmpc.command_line.train import Opened, compose_train
from tests.test_distill_command import CONTRACT_EDITS, DISTILL, FINETUNE, SMALL, edited, refused, saved  # noqa: F401

pytestmark = pytest.mark.slow

TEACHER = ["task=toy", *SMALL, "agent.num_steps=8"]
STILL = ["agent.learning_rate=1e-12", "agent.min_lr=1e-12", "agent.max_lr=1e-12", "agent.entropy_coef=0"]
"""Weights and noise stay where they start."""


@pytest.fixture(scope="module")
def tuned(saved, tmp_path_factory) -> Path:  # noqa: F811
    """The checkpoint of a student that went on by reward."""
    folder = tmp_path_factory.mktemp("tuned") / "run"
    train.main([*FINETUNE, f"student_ckpt={saved['none']}", "agent.critic_warmup=1", f"run.dir={folder}"])
    return folder / "checkpoints/epoch=1.ckpt"


def weights(path: Path | str, *parts: str) -> dict[str, torch.Tensor]:
    """Parameters and statistics of a policy's parts."""
    state = load_checkpoint(Path(path)).state_dict
    return {n: v for n, v in state.items() if n.startswith(tuple(f"policy.{part}" for part in parts))}


def differ(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> set[str]:
    assert a.keys() == b.keys()
    return {name for name in a if not torch.allclose(a[name], b[name], rtol=0.0, atol=1e-6)}


@pytest.mark.parametrize("agent", ["ppo", "rma"])
def test_a_teacher_starts_with_the_whole_policy_of_another_and_counts_from_zero(command, saved, agent, tmp_path):  # noqa: F811
    more = ["agent.estimator_lr=1e-12", "agent.history_lr=1e-12"] if agent == "rma" else []
    code, out, _ = command(
        train.main, *TEACHER, f"agent={agent}", *STILL, *more,
        f"init_ckpt={saved[agent].parents[1]}", "env.max_wind=0.25", "run.dir=run",
    )  # fmt: skip
    assert code == 0
    assert f"starts with the weights of '{saved[agent]}': {agent} on toy, iteration 2" in out
    there, here = load_checkpoint(saved[agent]), load_checkpoint(tmp_path / "run/checkpoints/epoch=1.ckpt")
    assert here.iteration == 2
    learned = ("actor", "critic", "noise", "estimator", "history_encoder", "privileged_encoder")
    assert differ(weights(there.path, *learned), weights(here.path, *learned)) == set()
    # Statistics went on from those there, the optimizer began anew.
    seen = [checkpoint.state_dict["policy.normalizers.critic.count"] for checkpoint in (there, here)]
    assert seen[1] == 2 * seen[0]
    steps = [max(int(s["step"]) for s in each.optimizer_states[0]["state"].values()) for each in (there, here)]
    assert steps[0] == steps[1]
    config = OmegaConf.load("run/config.yaml")
    assert config.init_ckpt == str(saved[agent])
    # The world is that of the command alone: episodes of 2 s were the other run's.
    assert config.env == {"max_wind": 0.25}
    assert config.agent.init_std == pytest.approx(there.noise_std)


def test_the_noise_is_what_it_had_come_to_unless_another_is_asked_for(command, saved):  # noqa: F811
    """Also if that was what the other run started with."""
    cfg = compose_train(["task=toy", f"init_ckpt={saved['ppo']}", "agent.init_std=1.0"])[0]
    assert load_checkpoint(saved["ppo"]).config["agent"]["init_std"] == cfg.agent.init_std == 1.0
    assert load_checkpoint(saved["ppo"]).noise_std != 1.0
    code, _, _ = command(train.main, *TEACHER, *STILL, f"init_ckpt={saved['ppo']}", "agent.init_std=1.0", "run.dir=run")
    assert code == 0
    noise = load_checkpoint(Path("run/checkpoints/last.ckpt")).state_dict["policy.noise.log_std"]
    assert noise.exp().tolist() == pytest.approx([1.0, 1.0], abs=1e-4)


def test_bounds_of_the_noise_are_those_of_the_new_run(command, saved):  # noqa: F811
    path = edited(saved["ppo"], lambda c: c["hyper_parameters"]["agent"].update(min_std=0.01, max_std=9.0))
    agent = compose_train([f"init_ckpt={path}"])[0].agent
    assert (agent.min_std, agent.max_std) == (0.05, 2.0)
    code, _, _ = command(train.main, *TEACHER, *STILL, f"init_ckpt={path}", "agent.max_std=0.5", "run.dir=run")
    assert code == 0
    noise = load_checkpoint(Path("run/checkpoints/last.ckpt")).state_dict["policy.noise.log_std"]
    assert noise.exp().tolist() == pytest.approx([0.5, 0.5], abs=1e-4)


def test_a_fine_tuned_student_goes_on_in_a_new_run_with_its_value_function(command, tuned):
    code, _, _ = command(
        train.main, *FINETUNE, "task=toy", *STILL, "agent.critic_lr=1e-12", f"init_ckpt={tuned}", "run.dir=run"
    )
    assert code == 0
    parts = ("actor", "critic", "noise")
    assert differ(weights(tuned, *parts), weights("run/checkpoints/last.ckpt", *parts)) == set()


def test_a_student_imitates_a_new_teacher_from_the_weights_of_one_that_was_fine_tuned(command, saved, tuned):  # noqa: F811
    code, _, _ = command(
        train.main, *DISTILL[:-2], "agent.num_steps=8", "agent.learning_rate=1e-12", f"teacher_ckpt={saved['rma']}",
        f"init_ckpt={tuned}", "agent.predictions={latent: 0.1}", "agent.teacher_check_steps=0", "run.dir=run",
    )  # fmt: skip
    assert code == 0
    assert differ(weights(tuned, "actor", "noise"), weights("run/checkpoints/last.ckpt", "actor", "noise")) == set()
    assert weights("run/checkpoints/last.ckpt", "predictors")


def test_the_task_is_that_of_the_policy_unless_another_is_given(saved, tmp_path, monkeypatch):  # noqa: F811
    path = saved["ppo"]
    cfg, opened = compose_train([f"init_ckpt={path}"])
    assert (cfg.task.name, cfg.env, cfg.init_ckpt) == ("toy", {}, str(path))
    assert opened == Opened(init=opened.init)
    assert opened.init is not None and opened.init.path == path
    cfg = compose_train(["task=blind_rl", f"init_ckpt={path}"])[0]
    assert (cfg.task.name, cfg.agent.actor_hidden) == ("blind_rl", [64, 64])
    root = tmp_path / "logs/toy/teacher/checkpoints"
    root.mkdir(parents=True)
    (root / "epoch=1.ckpt").write_bytes(path.read_bytes())
    for where in ("latest", "best", f"{root.parent}", f"{root.parent}/best"):
        given = [f"init_ckpt={where}", f"run.root={tmp_path / 'logs'}"]
        assert compose_train(given)[0].init_ckpt == str(root / "epoch=1.ckpt")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["init_ckpt=nowhere"], "there is no checkpoint 'nowhere'"),
        (["init_ckpt=latest"], "there is no checkpoint below 'logs'"),
        (["init_ckpt="], "'init_ckpt' is empty"),
        (["init_ckpt={rma}", "agent=ppo"], "holds the policy of agent 'rma', but with agent 'ppo' init_ckpt"),
        (["init_ckpt={none}"], "holds the policy of agent 'student', but with agent 'ppo' init_ckpt takes"),
        (["stage=finetune", "init_ckpt={ppo}"], "with agent 'finetune' init_ckpt takes one of student, finetune"),
        (["stage=finetune", "init_ckpt={none}", "student_ckpt={none}"], "'student_ckpt' and 'init_ckpt' both say"),
        (["stage=distill", "init_ckpt={none}"], "stage=distill needs a checkpoint: teacher_ckpt=PATH"),
        (["init_ckpt={ppo}", "agent.actor_hidden=[8]"], "agent.actor_hidden is [64, 64] there and [8] here"),
        (["init_ckpt={ppo}", "agent.critic_group=teacher"], "agent.critic_group is critic there and teacher here"),
        (["stage=finetune", "init_ckpt={gru}", "agent.memory=none"], "agent.memory is gru there and none here"),
        (["resume={ppo}", "init_ckpt={ppo}"], "'init_ckpt' starts a new run and 'resume' goes on with one that"),
    ],
)  # fmt: skip
def test_what_cannot_be_started_with_is_refused_in_one_sentence(command, saved, arguments, sentence):  # noqa: F811
    err = refused(command, *(argument.format(**saved) for argument in arguments))
    assert sentence in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("name", ["order of the teacher", "scale of the critic", "control rate", "action scale"])
def test_a_policy_of_another_world_is_refused_with_what_differs(command, saved, name: str):  # noqa: F811
    edits = CONTRACT_EDITS | {
        "scale of the critic": (
            lambda c: c["hyper_parameters"]["contract"]["observations"]["critic"][0].update(scale=0.5),
            "observations.critic.",
        )
    }
    edit, line = edits[name]
    first, *lines = refused(command, *TEACHER, f"init_ckpt={edited(saved['ppo'], edit)}").splitlines()
    assert first == "'edited.ckpt' does not fit this environment; what differs (there | here):"
    assert len(lines) == 1
    assert line in lines[0]


def test_a_world_that_the_policy_does_not_see_may_differ(command, saved):  # noqa: F811
    """The student's group is not the teacher's."""
    path = edited(saved["ppo"], CONTRACT_EDITS["scale"][0])
    assert command(train.main, *TEACHER, f"init_ckpt={path}", "run.dir=run")[0] == 0


def test_a_run_that_was_started_so_is_resumed_like_any_other(command, saved):  # noqa: F811
    command(train.main, *TEACHER, "checkpoint.every=1", f"init_ckpt={saved['ppo']}", "run.dir=whole")
    code, _, err = command(train.main, "resume=whole/checkpoints/epoch=0.ckpt", "run.dir=run")
    assert code == 0, err
    one, two = (load_checkpoint(Path(f"{name}/checkpoints/epoch=1.ckpt")) for name in ("whole", "run"))
    assert two.config["init_ckpt"] == str(saved["ppo"])
    assert all(torch.equal(values, two.state_dict[name]) for name, values in one.state_dict.items())


def test_a_job_that_slurm_requeues_goes_on_with_its_run_and_not_with_the_policy_again(command, saved, monkeypatch):  # noqa: F811
    arguments = [*TEACHER, f"init_ckpt={saved['ppo']}", "run.dir=run"]
    assert command(train.main, *arguments)[0] == 0
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert goes_on(arguments) == [*TEACHER, "resume=run"]
