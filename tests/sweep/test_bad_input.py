"""Whatever is wrong with a sweep ends it with one sentence, before anything is written."""

from __future__ import annotations

import sys

import pytest

import train

GOOD = {
    "arguments": "[task=toy, device=cpu]",
    "space": "{agent.learning_rate: {float: [1e-4, 1e-2], log: true}}",
    "metric": "episode/return",
}


@pytest.fixture
def refused(command, tmp_path):
    """Starts a sweep whose file differs from a good one in some entries; gives the sentence that ends it."""

    def start(*arguments: str, text: str | None = None, **changed: str) -> str:
        entries = "\n".join(f"{key}: {value}" for key, value in (GOOD | changed).items())
        (tmp_path / "sweep.yaml").write_text(entries if text is None else text)
        before = {*tmp_path.rglob("*")}
        code, _, err = command(train.main, "sweep=sweep.yaml", *arguments)
        assert (code, {*tmp_path.rglob("*")}) == (2, before)
        assert len(err.splitlines()) == 1, err
        return err.removeprefix("train.py: ").rstrip()

    return start


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"spce": "{}"}, "'sweep.yaml': unknown key 'spce'; did you mean 'space'?"),
        ({"metric": "evaluation/succes"}, "unknown 'metric' 'evaluation/succes'; accepted: evaluation/success, "),
        ({"metric": "evaluation/success"}, "the metric 'evaluation/success' needs environments that are held out"),
        ({"trials": "0"}, "'trials' must be at least 1, not 0"),
        ({"space": "{agent.learning_rat: {float: [0.1, 1]}}"}, "unknown key 'agent.learning_rat'; did you mean"),
        ({"space": "{agent.gamma: {float: [0.5, 1.5]}}"}, "'agent.gamma' must be at least 0 and at most 1, not 1.5"),
        ({"space": "{agent.activation: {choice: [elu, rely]}}"}, "unknown 'agent.activation' 'rely'; accepted: elu, "),
        ({"space": "{agent.num_epochs: {float: [2, 8]}}"}, "'agent.num_epochs' cannot be '2.0': it takes an integer"),
        ({"space": "{env.histry: {int: [1, 3]}}"}, "env.histry"),
        ({"space": "{agent.gamma: {flot: [0.5, 0.9]}}"}, "did you mean 'float'?"),
        ({"space": "{run.dir: {choice: [a, b]}}"}, "'run.dir' cannot be set in a sweep, which determines it"),
        ({"arguments": "[task=toyy]"}, "unknown task 'toyy'"),
        ({"arguments": "[task=toy, resume=latest]"}, "'resume' cannot be set in a sweep"),
        ({"arguments": "[task=toy, device=cpu, 'logger=[]']"}, "leaves no metrics.csv, by which a sweep judges"),
        ({"arguments": "[task=toy, trainer.devices=2]"}, "a run of a sweep takes one device, but this one has 2"),
        ({"arguments": "[task=toy, agent.learning_rate=1]"}, "'agent.learning_rate' is given twice"),
        ({"storage": "nowhere"}, "the storage 'nowhere' cannot be used: "),
    ],
)
def test_what_does_not_fit_is_named(refused, changed: dict[str, str], sentence: str):
    assert sentence in refused(**changed)


def test_a_file_that_is_no_yaml_or_not_there_is_named(refused, command):
    assert refused(text="space: [").startswith("'sweep.yaml' is not valid YAML")
    assert "'none.yaml' cannot be read: No such file" in command(train.main, "sweep=none.yaml")[2]


def test_other_arguments_belong_into_the_file(refused):
    assert refused("seed=3") == "'seed' beside 'sweep' has no effect; write it into 'arguments' of 'sweep.yaml'"


def test_without_optuna_the_sentence_says_how_to_get_it(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert refused() == "a sweep needs Optuna, which is not installed; pip install -e '.[sweep]' does that"


def test_a_folder_of_something_else_and_another_sweep_are_left_alone(refused, tmp_path):
    folder = tmp_path / "logs/sweeps/sweep"
    folder.mkdir(parents=True)
    (folder / "notes.txt").touch()
    assert "is not empty and holds no sweep; choose another 'folder'" in refused()
    (folder / "sweep.json").write_text('{"seed": 7}')
    assert "was started with another 'space', null; choose another 'folder' for a new sweep" in refused()
