"""A new run with the settings of an earlier one: `config=FILE`."""

from pathlib import Path

import pytest

import train
from rlmpc.command_line.train import compose_train
from rlmpc.errors import UserError
from rlmpc.run.record import write_record


@pytest.fixture
def earlier(tmp_path, monkeypatch) -> Path:
    """The config.yaml of a run in the current folder."""
    monkeypatch.chdir(tmp_path)
    arguments = ["task=toy", "agent=rma", "seed=3", "run.dir=a", "env.max_wind=0.5", "agent.min_lr=2e-6"]
    (tmp_path / "a").mkdir()
    write_record(tmp_path / "a", compose_train(arguments)[0], arguments)
    return Path("a/config.yaml")


def test_a_new_run_has_the_settings_of_the_earlier_one_but_for_its_folder(earlier):
    before, now = compose_train(["task=toy", "agent=rma", "seed=3"])[0], compose_train([f"config={earlier}"])[0]
    assert (now.task, now.agent.algorithm, now.seed) == (before.task, "rma", 3)
    assert (now.agent.min_lr, now.agent.privileged_terms) == (2e-6, before.agent.privileged_terms)
    assert float(now.env["max_wind"]) == 0.5
    assert (now.config, now.run.dir, now.resume) == (str(earlier), None, None)


def test_arguments_win_over_the_file(earlier):
    cfg = compose_train([f"config={earlier}", "seed=4", "agent.min_lr=1e-6", "env.max_wind=0.1", "run.dir=b"])[0]
    assert (cfg.seed, cfg.agent.min_lr, float(cfg.env["max_wind"]), cfg.run.dir) == (4, 1e-6, 0.1, "b")


def test_a_file_of_a_run_that_started_so_itself_can_be_taken(earlier, tmp_path):
    (tmp_path / "b").mkdir()
    write_record(tmp_path / "b", compose_train([f"config={earlier}"])[0], [])
    assert compose_train(["config=b/config.yaml"])[0].config == "b/config.yaml"


@pytest.mark.parametrize(
    ("arguments", "edit", "sentence"),
    [
        (["resume=a"], ("", ""), "'config' starts a new run and 'resume' goes on with one that there is"),
        (["task=blind_rl"], ("", ""), "'task' is 'toy' in 'a/config.yaml'; with task=blind_rl it would be another run"),
        (["agent=ppo"], ("", ""), "'agent' is 'rma' in 'a/config.yaml'"),
        (["agent.gama=1"], ("", ""), "unknown key 'agent.gama'; did you mean 'agent.gamma'?"),
        ([], ("\nseed:", "\nsed:"), "'a/config.yaml' does not fit the schema: unknown key 'sed'; did you mean 'seed'?"),
        ([], ("seed: 3", "seed: -3"), "'seed' must be at least 0"),
        ([], ("stage: teacher", "stage: techer"), "unknown 'stage' 'techer'; accepted: teacher, distill, finetune"),
        ([], ("algorithm: rma", "algorithm: rmaa"), "unknown 'agent.algorithm' 'rmaa'; accepted: ppo, rma"),
        ([], ("name: toy", "name: toyy"), "unknown 'task.name' 'toyy'; accepted: blind_mpc"),
        ([], ("stage: teacher", "stages: teacher"), "is no run's config.yaml: it does not say what 'stage' is"),
        ([], ("stage: teacher", "stage: {"), "'a/config.yaml' is not valid YAML"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_sentence_and_leaves_nothing(command, earlier, arguments, edit, sentence):
    earlier.write_text(earlier.read_text().replace(*edit, 1))
    code, out, err = command(train.main, f"config={earlier}", *arguments, "run.dir=b")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert sentence in err
    assert not Path("b").exists()


def test_a_file_that_is_not_there_is_named(earlier):
    with pytest.raises(UserError, match=r"^'nowhere.yaml' cannot be read: No such file or directory$"):
        compose_train(["config=nowhere.yaml"])


def test_text_that_omegaconf_would_interpolate_comes_back_as_it_was(earlier, tmp_path):
    (tmp_path / "b").mkdir()
    write_record(tmp_path / "b", compose_train([f"config={earlier}", "device=cpu${x}"])[0], [])
    assert compose_train(["config=b/config.yaml"])[0].device == "cpu${x}"
