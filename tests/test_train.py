"""Whole commands, in this process, on the toy environment."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import lightning as L
import pytest
import torch
from omegaconf import OmegaConf

import play
import train
from rlmpc.algorithms.table import ALGORITHMS

pytestmark = pytest.mark.slow

TOY = ["task=toy", "device=cpu", "num_envs=16", "checkpoint.export=false"]


def test_a_run_leaves_config_versions_git_state_metrics_events_and_checkpoints(command, tmp_path):
    code, out, _ = command(train.main, *TOY, "trainer.max_epochs=7", "checkpoint.every=3", "run.dir=run")
    assert code == 0
    run = tmp_path / "run"
    assert OmegaConf.load(run / "config.yaml").trainer.max_epochs == 7
    assert json.loads((run / "versions.json").read_text())["lightning"] == L.__version__
    assert (run / "git.txt").read_text()
    assert len(list(run.glob("events.out.tfevents*"))) == 1
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == [str(i) for i in range(7)]
    assert {"train/kl", "episode/reward_per_step", "perf/steps_per_s", "reward/track_target"} <= set(rows[0])
    saved = sorted(path.name for path in (run / "checkpoints").iterdir())
    assert saved == ["epoch=2.ckpt", "epoch=5.ckpt", "epoch=6.ckpt", "last.ckpt"]
    assert (run / "checkpoints/last.ckpt").resolve().name == "epoch=6.ckpt"
    assert "7/7" in out


def test_as_many_held_out_environments_as_there_are_end_at_once(command, tmp_path):
    code, _, err = command(train.main, *TOY, "evaluation.num_envs=16", "run.dir=run")
    assert code == 2
    assert "evaluation.num_envs = 16 leaves none of num_envs = 16 to learn from; choose a smaller one" in err
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_loads_without_running_code_and_holds_the_curriculum(command, tmp_path):
    command(train.main, *TOY, "trainer.max_epochs=2", "run.dir=run")
    checkpoint = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    assert checkpoint["hyper_parameters"]["agent"]["gamma"] == 0.99
    assert checkpoint["RolloutDataModule"]["ranks"][0]["curriculum"]["levels"].shape == (16,)


def test_an_adapting_agent_is_rebuilt_from_its_checkpoint_alone(command, tmp_path):
    command(train.main, *TOY, "agent=rma", "trainer.max_epochs=2", "run.dir=run", "logger=[]")
    checkpoint = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    settings = checkpoint["hyper_parameters"]
    learner = ALGORITHMS[settings["agent"]["algorithm"]].learner()(**settings)
    learner.load_state_dict(checkpoint["state_dict"])
    assert learner.policy.normalizers["policy"].count == 2 * 16 * 24
    (optimizer,) = checkpoint["optimizer_states"]
    assert [group["name"] for group in optimizer["param_groups"]] == ["policy", "estimator", "history"]


def test_only_the_newest_checkpoints_are_kept_when_asked_for(command, tmp_path):
    command(train.main, *TOY, "trainer.max_epochs=6", "checkpoint.every=1", "checkpoint.keep_last=2", "run.dir=run")
    saved = sorted(path.name for path in (tmp_path / "run/checkpoints").iterdir())
    assert saved == ["epoch=4.ckpt", "epoch=5.ckpt", "last.ckpt"]


def test_no_checkpoint_goes_while_the_newest_cannot_be_trusted(command, tmp_path, monkeypatch):
    monkeypatch.setattr("callbacks.checkpoint.has_right_checksums", lambda path: path.name != "epoch=3.ckpt")
    keeping = ["checkpoint.every=1", "checkpoint.keep_last=2"]
    command(train.main, *TOY, "trainer.max_epochs=4", *keeping, "run.dir=run")
    saved = sorted(path.name for path in (tmp_path / "run/checkpoints").iterdir())
    assert saved == ["epoch=1.ckpt", "epoch=2.ckpt", "epoch=3.ckpt", "last.ckpt"]


def test_the_run_folder_is_named_by_task_stage_and_time(command, tmp_path):
    command(train.main, *TOY, "trainer.max_epochs=1", "logger=[]")
    (folder,) = tmp_path.glob("logs/toy/teacher/*")
    assert folder.name.startswith("20")
    assert not (folder / "metrics.csv").exists()


@pytest.mark.parametrize("group", ["teacher", "policy"])
def test_the_value_function_may_see_any_group(command, group):
    code, out, _ = command(train.main, *TOY, f"agent.critic_group={group}", "trainer.max_epochs=2", "logger=[]")
    assert code == 0
    assert "2/2" in out


def test_list_names_what_can_be_chosen(command):
    code, out, _ = command(train.main, "list=true")
    assert code == 0
    blind = "blind_mpc, blind_mpc_flat, blind_rl, blind_rl_flat, blind_rl_practice, blind_rl_reference"
    scan = "phase_1_scan_rl, phase_1_scan_rl_practice, phase_1_scan_rl_reference"
    assert f"task: {blind}, {scan}, toy" in out
    assert "agent: finetune, ppo, rma, student" in out


def test_zero_and_random_actions_step_a_task(command):
    for policy in ("zero", "random"):
        code, out, _ = command(play.main, "task=toy", f"policy={policy}", "steps=120", "device=cpu")
        assert code == 0
        assert "termination/time_out" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["stage=student"], "unknown stage 'student'"),
        (["task=walk"], "unknown task 'walk'"),
        (["agent=sac"], "unknown agent 'sac'"),
        (["task=toy", "agent.lerning_rate=1"], "did you mean 'agent.learning_rate'"),
        (["task=toy", "env.arena_half_sice=1"], "did you mean 'env.arena_half_size'"),
        (["task=toy", "env.arena_half_size=big"], "takes a float"),
        (["task=toy", "env.history=0"], "'env.history' must be at least 1, not 0"),
        (["task=toy", "env.step_dt=-0.1"], "'env.step_dt' must be above 0, not -0.1"),
        (["task=toy", "env.seed=3"], "'env.seed' is set by 'seed'"),
        (["task=toy", "seed=-1"], "'seed' must be at least 0 and at most 67108863, not -1"),
        (["task=toy", "seed=67108864"], "'seed' must be at least 0 and at most 67108863, not 67108864"),
        (
            ["task=toy", "device=cpu", "trainer.devices=65"],
            "= 65 processes; at most 64 have random numbers of their own",
        ),
        (["task=toy", "num_envs=0"], "'num_envs' must be at least 1"),
        (["task=toy", "num_envs=-4"], "'num_envs' must be at least 1"),
        (["task=toy", "num_envs=many"], "'num_envs' cannot be 'many'"),
        (["task=toy", "trainer.max_epochs=0"], "'trainer.max_epochs' must be at least 1"),
        (["task=toy", "trainer.devices=0"], "'trainer.devices' must be at least 1"),
        (["task=toy", "checkpoint.every=0"], "'checkpoint.every' must be at least 1"),
        (["task=toy", "checkpoint.keep_last=0"], "'checkpoint.keep_last' must be at least 1"),
        (["task=toy", "faults.max_dumps=0"], "'faults.max_dumps' must be at least 1"),
        (["task=toy", "faults.max_skipped_updates=0"], "'faults.max_skipped_updates' must be at least 1"),
        (["task=toy", "faults.max_env_share=1.5"], "'faults.max_env_share' must be at least 0 and at most 1, not 1.5"),
        (["task=toy", "agent.num_steps=0"], "'agent.num_steps' must be at least 1"),
        (["task=toy", "agent.gamma=1.5"], "'agent.gamma' must be at least 0 and at most 1, not 1.5"),
        (
            ["task=toy", "agent.init_std=9"],
            "'agent.min_std' = 0.05 and at most 'agent.max_std' = 2.0, not 9.0",
        ),
        (["task=toy", "agent.activation=elo"], "did you mean 'elu'"),
        (["task=toy", "agent.actor_group=techer"], "did you mean 'teacher'"),
        (["task=toy", "agent=rma", "env.history=5"], "an even number of at least 6"),
        (["task=toy", "agent=rma", "agent.privileged_group=student"], "the observation group 'student'"),
        (["task=toy", "agent=ppo", "agent.latent_dim=8"], "unknown key 'agent.latent_dim'"),
        (["task=toy", "num_envs=5", "agent.num_steps=5"], "5 x 5 = 25 is not divisible into agent.num_minibatches = 4"),
        (["task=toy", "logger=[tensorbord]"], "did you mean 'tensorboard'"),
        (["task=toy", "device=gpu"], "unknown device 'gpu'"),
        (["task=toy", "seed"], "'seed' is not an override"),
        (["task=toy", "run.dir=full"], "not empty"),
        (["task=toy", "run.dir=full/file"], "is a file"),
        (["task=toy", "run.dir=full/file/below"], "cannot be written"),
    ],
)
def test_bad_input_ends_with_one_sentence_exit_code_2_and_nothing_written(command, tmp_path, arguments, sentence):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("kept")
    before = sorted(tmp_path.rglob("*"))
    code, _, err = command(train.main, *arguments)
    assert code == 2
    assert sentence in err
    assert len(err.strip().splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before
    assert Path("full/file").read_text() == "kept"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused(command, tmp_path):
    code, _, err = command(train.main, "task=toy", "device=cuda")
    assert code == 2
    assert "no usable GPU" in err
    assert not list(tmp_path.iterdir())


def test_a_task_of_the_simulator_says_so_where_the_simulator_is_missing(command, monkeypatch):
    monkeypatch.setitem(sys.modules, "isaaclab", None)
    code, _, err = command(train.main, "task=blind_rl", "device=cpu")
    assert code == 2
    assert "needs Isaac Lab, which is not installed" in err
