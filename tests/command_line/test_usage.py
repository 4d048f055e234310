import subprocess
import sys

import pytest

import play
import train
from rlmpc.command_line.files import CONF_DIR


@pytest.mark.parametrize("asked", ["--help", "-h", "help"])
@pytest.mark.parametrize("entry", [train, play])
def test_help_anywhere_prints_what_the_command_does_and_its_keys(command, entry, asked: str):
    code, out, err = command(entry.main, "nonsense=3", asked, "--what")
    assert (code, err) == (0, "")
    assert out.startswith((entry.__doc__ or "").splitlines()[0])
    assert "\n  num_envs=null " in out
    assert "\n  run.dir=null " in out
    assert "task: blind_mpc, blind_mpc_flat, blind_rl, blind_rl_flat" in out


def test_every_key_has_a_line_and_says_what_its_docstring_says(command):
    out = command(train.main, "--help")[1]
    assert "\n  run.dir=null                       The run's folder; by default `<root>/<task>/<stage>/<time>`\n" in out
    assert "\n  logger=[tensorboard, csv] " in out
    assert "task.simulator" not in out


def test_help_imports_nothing_that_takes_seconds():
    script = """
import sys
for library in ("torch", "lightning", "numpy", "matplotlib", "isaaclab", "omegaconf"):
    sys.modules[library] = None
import play, train
train.main(["--help"]), play.main(["-h"])
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=CONF_DIR.parent, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("arguments", [["list=true"], ["task=toy", "list=true"], ["--list"], ["list"]])
@pytest.mark.parametrize("entry", [train, play])
def test_the_names_are_listed_whatever_else_is_given(command, entry, arguments: list[str]):
    code, out, _ = command(entry.main, *arguments)
    assert code == 0
    assert out.startswith("stage: distill, finetune, teacher\ntask: ")


def test_help_shows_the_settings_of_the_chosen_agent_with_the_values_of_the_task(command):
    out = command(train.main, "task=toy", "agent=rma", "--help")[1]
    assert "Settings of agent 'rma'" in out
    assert "\n  agent.latent_dim=32" in out
    assert "\n  agent.velocity_term=velocity       Term that the estimator estimates\n" in out
    assert "agent.gamma=0.99" in command(train.main, "agent=nonsense", "-h")[1]
    assert "Settings of agent 'student'" in command(train.main, "stage=distill", "-h")[1]
    assert "agent." not in command(play.main, "-h")[1].split("env.<path>")[0]


@pytest.mark.parametrize("entry", [train, play])
def test_help_fits_the_columns_and_says_how_the_environment_is_set(command, entry):
    out = command(entry.main, "--help")[1]
    assert max(map(len, out.splitlines())) <= 120
    assert "env.<path>=VALUE" in out


@pytest.mark.parametrize(
    ("typed", "meant"), [("toyy", "toy"), ("resum", "resume"), ("hepl", "help"), ("stge=x", "stage")]
)
def test_a_misspelt_first_word_names_the_nearest(command, typed: str, meant: str):
    code, _, err = command(train.main, typed)
    assert code == 2
    assert f"did you mean '{meant}'?" in err
