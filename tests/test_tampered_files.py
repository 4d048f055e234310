"""Files whose fields were changed, with right checksums: each is read as before or refused in one sentence, at once.

A seeded sample of edits of every section of every kind of file.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import play
import train
from rlmpc.checkpoint.file import SECTION
from rlmpc.errors import RunError, UserError
from tests.tampering import sample

pytestmark = pytest.mark.slow

SMALL = ["device=cpu", "num_envs=4", "agent.num_steps=2", "agent.actor_hidden=[4]", "logger=[csv]"]
UPDATE = ["agent.num_epochs=1", "agent.num_minibatches=1"]
RUN = [*SMALL, *UPDATE, "checkpoint.every=1", "trainer.max_epochs=1"]
MEMORY = ["agent.memory=gru", "agent.memory_width=4", "agent.teacher_check_steps=2"]
SAVED = "checkpoints/epoch=0.ckpt"


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """A folder with a teacher and a student."""
    folder = tmp_path_factory.mktemp("runs")
    train.main(["task=toy", *RUN, "agent.critic_hidden=[4]", f"run.dir={folder}/teacher"])
    student = ["stage=distill", f"teacher_ckpt={folder}/teacher/{SAVED}", *RUN, *MEMORY]
    train.main([*student, f"run.dir={folder}/student"])
    return folder


@pytest.fixture
def outcome(monkeypatch, tmp_path, capsys) -> Callable[..., str]:
    """Runs a command; gives the sentence that refuses, empty if nothing does. Anything else is a failure."""
    monkeypatch.chdir(tmp_path)

    def run(main: Callable[[list[str]], None], *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["command", *arguments])
        try:
            main(list(arguments))
        except (UserError, RunError) as error:
            return str(error)
        finally:
            capsys.readouterr()
        return ""

    return run


LIGHTNING_STARTS_MORE = ("devices", "num_nodes", "device")
"""Settings of a run that make it another kind of run."""


def after_edits(content: Any, number: int, write: Callable[[Any], object], run: Callable[[], str]) -> list[str]:
    """The sentences that refuse a file, edit by edit; empty where it was taken."""
    sentences = []
    for edit in sample(content, number, seed=0):
        if edit.path[-1] in LIGHTNING_STARTS_MORE:
            continue
        write(edit.of(content))
        try:
            sentences.append(run())
        except BaseException as error:
            error.add_note(f"after {edit}")
            raise
    return sentences


NEW = [*RUN, "run.dir=new", "checkpoint.export=false"]
COMMANDS: dict[str, tuple[str, Callable[[list[str]], None], list[str], int]] = {
    "a run that goes on": ("teacher", train.main, ["resume={file}", "trainer.max_epochs=2"], 30),
    "a student's that goes on": ("student", train.main, ["resume={file}", "trainer.max_epochs=2"], 8),
    "a teacher": ("teacher", train.main, ["stage=distill", "teacher_ckpt={file}", *NEW, *MEMORY], 6),
    "a student": ("student", train.main, ["stage=finetune", "student_ckpt={file}", *NEW], 6),
    "a policy": ("student", play.main, ["ckpt={file}", "num_envs=4", "device=cpu", "steps=2", "run.dir=new"], 8),
}


@pytest.mark.parametrize("kind", COMMANDS)
def test_a_checkpoint_that_was_changed_is_taken_or_refused(runs: Path, outcome, tmp_path: Path, kind: str):
    name, main, arguments, number = COMMANDS[kind]
    content = torch.load(runs / name / SAVED, weights_only=True)
    file = Path("run") / SAVED

    def write(edited: Any) -> None:
        shutil.rmtree("run", ignore_errors=True)
        shutil.rmtree("new", ignore_errors=True)
        shutil.copytree(runs / name, "run", symlinks=True)
        torch.save(edited, file)

    def run() -> str:
        return outcome(main, *(argument.format(file=file) for argument in arguments))

    write(content)
    assert run() == ""
    sentences = after_edits(content, number, write, run)
    refused = [sentence for sentence in sentences if sentence]
    assert len(refused) > len(sentences) // 4
    assert [sentence for sentence in refused if file.name not in sentence] == []


@pytest.mark.parametrize(
    ("main", "arguments"),
    [
        (play.main, ["ckpt=edited.ckpt"]),
        (train.main, ["stage=distill", "teacher_ckpt=edited.ckpt"]),
        (train.main, ["init_ckpt=edited.ckpt"]),
    ],
)
def test_a_file_of_a_task_that_is_not_there_is_named(runs: Path, outcome, tmp_path: Path, main, arguments: list[str]):
    content = torch.load(runs / "teacher" / SAVED, weights_only=True)
    content[SECTION]["config"]["task"]["name"] = "toyy"
    torch.save(content, "edited.ckpt")
    sentence = outcome(main, *arguments)
    assert "'edited.ckpt' has the unknown task 'toyy'" in sentence and "did you mean 'toy'?" in sentence


def test_a_fault_that_was_changed_is_taken_or_refused(outcome, tmp_path: Path):
    from tests.test_replay import break_state, rollout

    content = rollout(break_state, breaks_action=False)
    sentences = after_edits(
        content, 60, lambda c: torch.save(c, "fault.pt"), lambda: outcome(play.main, "replay=fault.pt")
    )
    refused = [sentence for sentence in sentences if sentence]
    assert len(refused) > 20
    assert [sentence for sentence in refused if "fault.pt" not in sentence] == []
