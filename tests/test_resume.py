"""Runs that are interrupted and go on, as whole commands on the toy environment."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import train
from rlmpc.checkpoint.file import load_checkpoint
from rlmpc.run.loggers import make_loggers
from tests.same_run import compare, curve

pytestmark = pytest.mark.slow

TOY = [
    *("device=cpu", "num_envs=16", "agent.num_steps=8", "agent.num_epochs=2", "agent.num_minibatches=2"),
    *("checkpoint.export=false", "env.episode_length_s=1.0"),
]
"""Episodes of 20 steps: some end in every iteration, and levels move."""


@pytest.fixture(scope="module")
def origins(tmp_path_factory) -> dict[str, Path]:
    """A teacher of each kind, and a student with a memory."""
    root = tmp_path_factory.mktemp("origins")

    def run(name: str, *arguments: str) -> Path:
        train.main([*TOY, *arguments, "trainer.max_epochs=2", "logger=[]", f"run.dir={root / name}"])
        return root / name / "checkpoints/epoch=1.ckpt"

    teachers = {agent: run(agent, "task=toy", f"agent={agent}") for agent in ("ppo", "rma")}
    student = ["stage=distill", f"teacher_ckpt={teachers['ppo']}", "agent.memory=gru", "agent.teacher_check_steps=3"]
    return teachers | {"gru": run("gru", *student)}


def stages(origins: dict[str, Path]) -> dict[str, list[str]]:
    """Every kind of learner, in the midst of its schedules."""
    distill = ["stage=distill", "agent.teacher_check_steps=3", "agent.beta_iterations=6"]
    annealed = ["agent.final_max_std=0.5", "agent.final_entropy_coef=0", "agent.anneal_iterations=7"]
    predictions = ["agent.predictions={latent: 0.5, velocity: 0.5}"]
    return {
        "ppo": ["task=toy", *annealed],
        "rma": ["task=toy", "agent=rma", "agent.history_every=3", "agent.regularizer_start=2"],
        "student": [*distill, f"teacher_ckpt={origins['rma']}", *predictions, "agent.leave_out_steps=3"],
        "gru": [*distill, f"teacher_ckpt={origins['ppo']}", "agent.memory=gru"],
        "finetune": ["stage=finetune", f"student_ckpt={origins['gru']}", "agent.critic_warmup=5"],
    }


@pytest.mark.parametrize("stopped_at", [4, 6])
def test_a_run_with_held_out_environments_goes_on_in_the_midst_of_a_window_and_after_it(command, tmp_path, stopped_at):
    """A window is 6 iterations of 8 steps: two whole episodes."""
    arguments = [*TOY, "task=toy", "evaluation.num_envs=3", "evaluation.every=6"]
    assert command(train.main, *arguments, "trainer.max_epochs=12", "run.dir=straight")[0] == 0
    assert command(train.main, *arguments, f"trainer.max_epochs={stopped_at}", "run.dir=parted")[0] == 0
    code, out, err = command(train.main, "resume=parted", "trainer.max_epochs=12")
    assert (code, err) == (0, "")
    assert "iteration 12: evaluation: " in out
    assert compare(tmp_path / "straight", tmp_path / "parted") == ""
    evaluated = [row["step"] for row in curve(tmp_path / "parted") if row["evaluation/success"]]
    assert evaluated == ["5", "11"]


def test_a_resumed_run_may_hold_out_other_environments(command, tmp_path):
    command(train.main, *TOY, "task=toy", "trainer.max_epochs=2", "run.dir=run")
    code, out, err = command(
        train.main, "resume=run", "trainer.max_epochs=12", "evaluation.num_envs=3", "evaluation.every=6"
    )
    assert (code, err) == (0, "")
    assert "changed from here on (before | now): evaluation.num_envs: None | 3" in out
    assert "iteration 12: evaluation: " in out
    assert "iteration 6: evaluation: " not in out


@pytest.mark.parametrize("name", ["ppo", "rma", "student", "gru", "finetune"])
def test_a_run_that_was_interrupted_ends_as_one_that_was_not_to_the_last_bit(command, tmp_path, origins, name):
    arguments = [*TOY, *stages(origins)[name]]
    assert command(train.main, *arguments, "trainer.max_epochs=8", "run.dir=straight")[0] == 0
    assert command(train.main, *arguments, "trainer.max_epochs=4", "run.dir=parted")[0] == 0
    code, out, err = command(train.main, "resume=parted", "trainer.max_epochs=8")
    assert (code, err) == (0, "")
    assert "8/8" in out
    assert compare(tmp_path / "straight", tmp_path / "parted") == ""
    levels = [row["curriculum/level"] for row in curve(tmp_path / "straight")]
    assert len(levels) == 8
    assert len(set(levels)) > 1


def test_what_is_drawn_while_a_resumed_run_is_set_up_changes_nothing(command, tmp_path, monkeypatch):
    arguments = [*TOY, "task=toy", "checkpoint.every=1"]
    command(train.main, *arguments, "trainer.max_epochs=4", "run.dir=straight")
    shutil.copytree("straight", "parted", symlinks=True)
    for index in (2, 3):
        (tmp_path / f"parted/checkpoints/epoch={index}.ckpt").unlink()
    monkeypatch.setattr("rlmpc.run.trainer.make_loggers", lambda *given: (torch.rand(3), make_loggers(*given))[1])
    assert command(train.main, "resume=parted")[0] == 0
    assert compare(tmp_path / "straight", tmp_path / "parted") == ""


def test_curves_go_on_on_the_same_axes_without_what_came_after_the_checkpoint(command, tmp_path):
    command(train.main, *TOY, "task=toy", "trainer.max_epochs=5", "checkpoint.every=2", "run.dir=run")
    # As if the process had been killed in iteration 4, when three files were there and five rows.
    (tmp_path / "run/checkpoints/epoch=4.ckpt").unlink()
    command(train.main, "resume=run", "trainer.max_epochs=6")
    assert [row["step"] for row in curve(tmp_path / "run")] == [str(i) for i in range(6)]
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    assert [event.step for event in events.Scalars("train/kl")] == [0, 1, 2, 3, 4, 5]


def test_what_was_restored_and_what_changed_is_said_at_the_start(command, tmp_path):
    command(train.main, *TOY, "task=toy", "trainer.max_epochs=2", "run.dir=run")
    _, out, _ = command(train.main, "resume=run", "trainer.max_epochs=4", "agent.entropy_coef=0.02")
    assert "counters                  iteration 2" in out
    assert "episodes                  restored, physics included" in out
    assert "random generators         restored" in out
    assert "changed from here on (before | now): agent.entropy_coef: 0.01 | 0.02" in out
    assert "changed from here on (before | now): trainer.max_epochs: 2 | 4" in out
    assert out.count("changed from here on") == 2
    assert load_checkpoint(tmp_path / "run/checkpoints/epoch=3.ckpt").config["agent"]["entropy_coef"] == 0.02
    (record,) = (tmp_path / "run/resumed").iterdir()
    assert {"config.yaml", "versions.json", "git.txt"} <= {path.name for path in record.iterdir()}


def test_the_command_of_the_run_may_be_repeated_with_resume_at_its_end(command):
    arguments = [*TOY, "task=toy", "stage=teacher", "agent=ppo", "seed=3"]
    command(train.main, *arguments, "trainer.max_epochs=2", "run.dir=run")
    code, out, _ = command(train.main, *arguments, "trainer.max_epochs=3", "resume=run")
    assert code == 0
    assert out.count("changed from here on") == 1


@pytest.mark.parametrize("where", ["latest", "run", "run/checkpoints/epoch=1.ckpt", "run/checkpoints/last.ckpt"])
def test_a_run_is_found_by_name_by_folder_and_by_file(command, tmp_path, where):
    root = ["run.root=."] if where == "latest" else []
    command(train.main, *TOY, "task=toy", "trainer.max_epochs=2", "run.dir=run", "logger=[]")
    code, _, _ = command(train.main, f"resume={where}", *root, "trainer.max_epochs=3")
    assert code == 0
    assert (tmp_path / "run/checkpoints/epoch=2.ckpt").is_file()


def test_a_run_branches_off_into_a_folder_of_its_own(command, tmp_path):
    command(train.main, *TOY, "task=toy", "trainer.max_epochs=4", "checkpoint.every=2", "run.dir=run")
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    code, _, _ = command(
        train.main, "resume=run/checkpoints/epoch=1.ckpt", "run.dir=branch", "agent.gamma=0.9", "trainer.max_epochs=3"
    )
    assert code == 0
    assert {path: path.read_bytes() for path in before} == before
    assert [row["step"] for row in curve(tmp_path / "branch")] == ["2"]


def test_without_exact_state_episodes_start_anew_where_the_curriculum_had_come_to(command, tmp_path):
    arguments = [*TOY, "task=toy", "checkpoint.env_state=curriculum"]
    command(train.main, *arguments, "trainer.max_epochs=6", "run.dir=run")
    saved = load_checkpoint(tmp_path / "run/checkpoints/epoch=5.ckpt")
    assert "state" not in saved.ranks[0]
    assert saved.ranks[0]["curriculum"]["levels"].max() > 0
    code, out, _ = command(train.main, "resume=run", "trainer.max_epochs=7")
    assert code == 0
    assert "start anew: not kept (checkpoint.env_state=curriculum)" in out
    before, after = (float(row["curriculum/level"]) for row in curve(tmp_path / "run")[5:])
    assert after > 0.5 * before


@pytest.mark.parametrize("num_envs", [8, 48])
def test_another_number_of_environments_takes_its_levels_from_the_histogram(command, tmp_path, num_envs):
    command(train.main, *TOY, "task=toy", "trainer.max_epochs=6", "run.dir=run")
    before = load_checkpoint(tmp_path / "run/checkpoints/epoch=5.ckpt").ranks[0]["curriculum"]["levels"].float()
    changed = [f"num_envs={num_envs}", "agent.num_steps=1"]
    code, out, _ = command(train.main, "resume=run", "trainer.max_epochs=7", *changed)
    assert code == 0
    assert f"levels drawn for {num_envs} x 1 environments from the histogram of 16 x 1" in out
    after = load_checkpoint(tmp_path / "run/checkpoints/epoch=6.ckpt").ranks[0]["curriculum"]["levels"].float()
    assert after.shape == (num_envs,)
    assert abs(after.mean() - before.mean()) < 0.3


def test_a_checkpoint_that_lacks_a_part_goes_on_where_that_is_allowed(command, tmp_path):
    command(train.main, *TOY, "task=toy", "trainer.max_epochs=2", "run.dir=run")
    content = torch.load("run/checkpoints/epoch=1.ckpt", weights_only=True)
    del content["RolloutDataModule"]["ranks"][0]["random"], content["optimizer_states"]
    torch.save(content, "lacking.ckpt")
    arguments = ["resume=lacking.ckpt", "trainer.max_epochs=4", "run.dir=branch"]
    code, _, err = command(train.main, *arguments)
    assert code == 2
    assert "cannot be resumed exactly" in err
    assert not (tmp_path / "branch").exists()
    code, out, err = command(train.main, *arguments, "resume_allow_partial=true")
    assert (code, err) == (0, "")
    assert "random generators         not in the file: new" in out
    assert "optimizer, learning rate  not in the file: new" in out
    assert load_checkpoint(tmp_path / "branch/checkpoints/epoch=3.ckpt").iteration == 4


@pytest.fixture
def slurm_job(monkeypatch) -> str:
    """This process as the only task of a SLURM job; gives the name of the job's run folder."""
    job = {"SLURM_JOB_ID": "4711", "SLURM_JOB_NAME": "walk", "SLURM_NTASKS": "1", "SLURM_NTASKS_PER_NODE": "1"}
    for name, value in (job | {"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NNODES": "1"}).items():
        monkeypatch.setenv(name, value)
    return "job_4711"


def test_a_job_that_slurm_starts_again_goes_on_with_the_same_command(command, tmp_path, slurm_job, monkeypatch):
    arguments = [*TOY, "task=toy", "run.root=runs", "checkpoint.every=2"]
    folder = tmp_path / "runs/toy/teacher" / slurm_job
    assert command(train.main, *arguments, "trainer.max_epochs=5")[0] == 0
    # As if the job's time had been over in the fifth iteration.
    (folder / "checkpoints/epoch=4.ckpt").unlink()
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    code, out, err = command(train.main, *arguments, "trainer.max_epochs=5")
    assert (code, err) == (0, "")
    assert f"resuming {folder.relative_to(tmp_path)}/checkpoints/epoch=3.ckpt" in out
    assert [row["step"] for row in curve(folder)] == [str(i) for i in range(5)]


def test_two_runs_of_a_job_have_two_folders_and_each_goes_on_by_itself(command, tmp_path, slurm_job, monkeypatch):
    arguments = [*TOY, "task=toy", "run.root=runs", "trainer.max_epochs=2", "checkpoint.every=1"]
    for seed in (1, 2):
        assert command(train.main, *arguments, f"seed={seed}")[0] == 0
    folders = [tmp_path / "runs/toy/teacher" / name for name in (slurm_job, f"{slurm_job}_2")]
    seeds = [load_checkpoint(folder / "checkpoints/epoch=1.ckpt").config["seed"] for folder in folders]
    assert seeds == [1, 2]
    (folders[1] / "checkpoints/epoch=1.ckpt").unlink()
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    code, out, _ = command(train.main, *arguments, "seed=1")
    assert (code, "nothing is left to do" in out, "2 of trainer.max_epochs=2" in out) == (0, True, True)
    code, out, _ = command(train.main, *arguments, "seed=2")
    assert (code, f"{slurm_job}_2/checkpoints/epoch=0.ckpt" in out) == (0, True)
    assert len(list((tmp_path / "runs/toy/teacher").iterdir())) == 2


def test_a_job_that_resumed_a_file_goes_on_from_what_it_has_saved_since(command, tmp_path, slurm_job, monkeypatch):
    command(train.main, *TOY, "task=toy", "run.dir=run", "trainer.max_epochs=2", "checkpoint.every=1")
    arguments = ["resume=run/checkpoints/epoch=1.ckpt", "trainer.max_epochs=4", "agent.entropy_coef=0.02"]
    assert command(train.main, *arguments)[0] == 0
    (tmp_path / "run/checkpoints/epoch=3.ckpt").unlink()
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    code, out, err = command(train.main, *arguments)
    assert (code, err) == (0, "")
    assert "resuming run/checkpoints/epoch=2.ckpt" in out
    assert load_checkpoint(tmp_path / "run/checkpoints/epoch=3.ckpt").config["agent"]["entropy_coef"] == 0.02


def test_a_command_that_was_killed_before_its_first_checkpoint_may_be_repeated(command, tmp_path):
    arguments = [*TOY, "task=toy", "trainer.max_epochs=2", "run.dir=run"]
    command(train.main, *arguments)
    code, _, err = command(train.main, *arguments)
    assert (code, "is not empty; nothing is overwritten" in err, "go on with resume=run" in err) == (2, True, True)
    shutil.rmtree("run/checkpoints")
    code, _, err = command(train.main, *arguments, "seed=2")
    assert (code, "is not empty; nothing is overwritten" in err) == (2, True)
    code, _, err = command(train.main, *arguments)
    assert (code, err) == (0, "")
    assert [row["step"] for row in curve(tmp_path / "run")] == ["0", "1"]
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    assert [event.step for event in events.Scalars("train/kl")] == [0, 1]


def test_a_job_that_slurm_starts_again_before_its_first_checkpoint_begins_anew(
    command, tmp_path, slurm_job, monkeypatch
):
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    arguments = [*TOY, "task=toy", "run.root=runs", "trainer.max_epochs=1"]
    folder = tmp_path / "runs/toy/teacher" / slurm_job
    command(train.main, *arguments)
    shutil.rmtree(folder / "checkpoints")
    code, _, err = command(train.main, *arguments)
    assert (code, err) == (0, "")
    assert len(curve(folder)) == 1
    assert [path.name for path in folder.parent.iterdir()] == [slurm_job]
