from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rlmpc.command_line.resume import FinishedError
from rlmpc.sweep import run
from rlmpc.sweep.run import TRAIN, TrialRun, command_line


@pytest.fixture
def made(tmp_path: Path) -> TrialRun:
    return TrialRun(tmp_path / "trial_0", ["task=toy", "agent.gamma=0.9"], "episode/return", average=2)


def test_a_run_is_worth_the_mean_of_its_last_values(made: TrialRun):
    assert made.values() == {}
    made.folder.mkdir()
    (made.folder / "metrics.csv").write_text("episode/return,step,z\n1.0,0,1\n,1,1\n3.0,2,1\nnan,3,1\n5.0,4,1\n9.0,5\n")
    assert made.values() == {0: 1.0, 2: 2.0, 4: 4.0}


def test_news_are_what_was_added_since_the_last_look(made: TrialRun):
    assert not made.has_news()
    made.folder.mkdir()
    (made.folder / "metrics.csv").write_text("step\n")
    assert [made.has_news(), made.has_news()] == [True, False]


def test_a_run_is_an_ordinary_one_in_its_own_folder_on_one_gpu(made: TrialRun, monkeypatch, tmp_path):
    script = "import os, sys; print(sys.argv[1:], os.environ['CUDA_VISIBLE_DEVICES']); print(); sys.exit(3)"
    commands = []

    def start(command, **options):
        commands.append(command)
        return subprocess_start([sys.executable, "-c", script, *command[2:]], **options)

    subprocess_start = subprocess.Popen
    monkeypatch.setattr(run.subprocess, "Popen", start)
    made.start("5")
    while (code := made.code()) is None:
        pass
    assert code == 3
    assert commands[0][:2] == [sys.executable, str(TRAIN)]
    assert made.last_words() == str(["task=toy", "agent.gamma=0.9", f"run.dir={tmp_path}/trial_0"]) + " 5"


def test_a_run_that_was_finished_is_not_started_again(made: TrialRun, monkeypatch):
    (made.folder / "checkpoints").mkdir(parents=True)
    (made.folder / "checkpoints/epoch=3.ckpt").touch()
    composed = []

    def finished(arguments: list[str]) -> None:
        composed.append(arguments)
        raise FinishedError("all iterations are done")

    monkeypatch.setattr(run, "compose_train", finished)
    made.start(None)
    assert (made.code(), composed) == (0, [[f"resume={made.folder}"]])


def test_the_exit_code_of_a_killed_run_is_that_of_shells(made: TrialRun, monkeypatch):
    sleeping = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    monkeypatch.setattr(made, "_process", sleeping)
    made.stop()
    sleeping.wait()
    assert made.code() == 143


def test_a_command_can_be_typed():
    assert command_line(["task=toy", "agent.actor_hidden=[64, 64]"]) == (
        "python train.py task=toy 'agent.actor_hidden=[64, 64]'"
    )
