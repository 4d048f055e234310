"""What may change on resume does change, and is said; what cannot is refused."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

import pytest
import torch

import play
import train
from rlmpc.checkpoint.file import Checkpoint, load_checkpoint
from rlmpc.evaluation import report
from tests.same_run import compare

pytestmark = pytest.mark.slow

TOY = [
    *("task=toy", "device=cpu", "num_envs=16", "agent.num_steps=8", "agent.num_epochs=2", "agent.num_minibatches=2"),
    *("logger=[csv]", "env.episode_length_s=1.0", "checkpoint.export=false"),
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """The folder of a run of two iterations."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    train.main([*TOY, "trainer.max_epochs=2", f"run.dir={folder}"])
    return folder


@pytest.fixture
def run(finished, command) -> Path:
    """A copy of it in the current folder."""
    shutil.copytree(finished, "run", symlinks=True)
    return Path("run")


def resumed(command, *arguments: str) -> tuple[str, Checkpoint]:
    """What a resumed run of one more iteration says, and its checkpoint."""
    code, out, err = command(train.main, "resume=run", "trainer.max_epochs=3", *arguments)
    assert (code, err) == (0, "")
    return out, load_checkpoint(Path("run/checkpoints/epoch=2.ckpt"))


def test_what_is_drawn_when_environments_are_made_is_drawn_anew_where_its_setting_changed(command, run):
    before = load_checkpoint(run / "checkpoints/epoch=1.ckpt")
    assert before.ranks[0]["state"]["wind"].abs().max() > 0.1
    out, after = resumed(command, "env.max_wind=0.1")
    assert after.ranks[0]["state"]["wind"].abs().max() <= 0.1
    assert "changed from here on (before | now): env.max_wind: 2.5 | 0.1" in out
    assert "episodes                  start anew with what changed: env.max_wind" in out


def test_a_change_that_acts_at_once_leaves_the_episodes_as_they_are(command, run):
    before = load_checkpoint(run / "checkpoints/epoch=1.ckpt")
    out, after = resumed(command, "env.promote_error=0.3")
    assert torch.equal(before.ranks[0]["state"]["wind"], after.ranks[0]["state"]["wind"])
    assert "episodes                  restored, physics included" in out


def test_a_setting_that_is_given_again_with_the_value_it_has_changes_nothing(command, tmp_path):
    arguments = [*TOY, "env.max_wind=0.5"]
    command(train.main, *arguments, "trainer.max_epochs=4", "run.dir=straight")
    command(train.main, *arguments, "trainer.max_epochs=2", "run.dir=parted")
    command(train.main, "resume=parted", "trainer.max_epochs=4", "env.max_wind=0.5")
    assert compare(tmp_path / "straight", tmp_path / "parted") == ""


def test_fewer_levels_than_before_are_kept_to(command, run):
    _, after = resumed(command, "env.num_levels=1")
    assert after.ranks[0]["curriculum"]["levels"].max() == 0


@pytest.mark.parametrize(
    ("arguments", "rate"),
    [
        (["agent.max_lr=2e-5"], 2e-5),
        (["agent.min_lr=5e-3"], 5e-3),
        (["agent.learning_rate=3e-3", "agent.desired_kl=1e9", "agent.max_lr=3e-3"], 3e-3),
        (["agent.learning_rate=2e-5", "agent.max_lr=2e-5"], 2e-5),
    ],
)
def test_the_learning_rate_and_its_bounds_can_be_steered(command, run, arguments, rate):
    _, after = resumed(command, *arguments)
    (state,) = after.content["optimizer_states"]
    lr = float(state["param_groups"][0]["lr"])
    if "min_lr" in arguments[0]:
        assert lr >= rate * 0.999
    else:
        assert lr == pytest.approx(rate)


def test_the_noise_can_be_bounded_and_a_run_that_was_steered_goes_on_again_and_plays(command, run, monkeypatch):
    _, after = resumed(command, "agent.max_std=0.3")
    assert after.state_dict["policy.noise.log_std"].exp().max() <= 0.3001
    code, _, err = command(train.main, "resume=run", "trainer.max_epochs=4", "agent.max_std=0.2")
    assert (code, err) == (0, "")
    monkeypatch.setattr(report, "PLOTS", {})
    code, _, err = command(play.main, "ckpt=run", "device=cpu", "steps=4")
    assert (code, err) == (0, "")


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("agent.max_std=0.01", "'agent.max_std' must be at least 'agent.min_std' = 0.05 and above 0, not 0.01"),
        ("agent.max_lr=1e-6", "'agent.max_lr' must be at least 'agent.min_lr' = 1e-05 and above 0, not 1e-06"),
        ("agent.learning_rate=1", "'agent.learning_rate' must be"),
    ],
)
def test_bounds_that_contradict_each_other_are_refused(command, run, argument, sentence):
    code, _, err = command(train.main, "resume=run", "trainer.max_epochs=3", argument)
    assert (code, sentence in err) == (2, True)


def test_the_list_of_changes_has_every_value_whole(command, run):
    out, _ = resumed(command, "agent.clip=0.2000001", "env.gain_range=[0.75,1.25]", "env.drag_range=[0.2,0.3]")
    assert "agent.clip: 0.2 | 0.2000001" in out
    assert "env.gain_range: (0.7, 1.3) | (0.75, 1.25)" in out
    assert "env.drag_range: (0.1, 0.6) | (0.2, 0.3)" in out


def test_a_setting_that_is_new_since_the_run_was_saved_is_said_to_be(command, run):
    path = run / "checkpoints/epoch=1.ckpt"
    content = torch.load(path, weights_only=True)
    for owner in (content["rlmpc"]["config"]["agent"], content["hyper_parameters"]["agent"]):
        del owner["stagger_episodes"], owner["clip"]
    torch.save(content, path)
    code, _, err = command(train.main, "resume=run", "trainer.max_epochs=3", "agent.stagger_episodes=false")
    assert (code, "cannot change (it is new since" in err, "None" in err) == (2, True, False)
    out, _ = resumed(command)
    assert "agent.clip: new since | 0.2" in out


def test_the_checkpoint_a_run_started_from_may_be_named_again_but_not_exchanged(command, run):
    student = ["stage=distill", "agent.teacher_check_steps=0", *TOY[1:]]
    command(train.main, *student, "teacher_ckpt=run", "trainer.max_epochs=1", "run.dir=student")
    code, _, err = command(train.main, *student, "teacher_ckpt=run", "trainer.max_epochs=2", "resume=student")
    assert (code, err) == (0, "")
    command(train.main, *TOY, "trainer.max_epochs=1", "run.dir=other")
    code, _, err = command(train.main, "teacher_ckpt=other", "trainer.max_epochs=3", "resume=student")
    assert (code, "'teacher_ckpt' cannot change from" in err) == (2, True)


class StoppedClock(datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2026, 11, 28, 12, 0, 0)


def test_runs_and_evaluations_of_the_same_second_are_all_kept(command, run, monkeypatch):
    monkeypatch.setattr("rlmpc.run.folder.datetime", StoppedClock)
    monkeypatch.setattr(report, "PLOTS", {})
    for _ in range(2):
        assert command(train.main, *TOY, "trainer.max_epochs=1")[0] == 0
        assert command(play.main, "ckpt=run", "device=cpu", "steps=4")[0] == 0
    for epochs in (3, 4):
        command(train.main, "resume=run", f"trainer.max_epochs={epochs}")
    name = "2026-11-28_12-00-00"
    for folder in (Path("logs/toy/teacher"), run / "play", run / "resumed"):
        assert sorted(path.name for path in folder.iterdir()) == [name, f"{name}_2"]


def test_an_evaluation_does_not_start_where_another_one_writes(command, run, monkeypatch):
    seen = []

    def meanwhile(*arguments):
        if not seen:
            seen.append(None)
            seen.append(command(play.main, "ckpt=run", "device=cpu", "steps=4", "run.dir=results"))
        return original(*arguments)

    original = play_trained_evaluate()
    monkeypatch.setattr("rlmpc.play.trained.evaluate", meanwhile)
    monkeypatch.setattr(report, "PLOTS", {})
    assert command(play.main, "ckpt=run", "device=cpu", "steps=4", "run.dir=results")[0] == 0
    code, _, err = seen[1]
    assert (code, "'results'" in err) == (2, True)
    assert sorted(path.name for path in Path("results").iterdir()) == ["evaluation.csv", "evaluation.json"]


def play_trained_evaluate():
    from rlmpc.play import trained

    return trained.evaluate
