"""Follows `docs/add-a-task.md` to the letter."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

import play
import rlmpc.tasks
import train
from rlmpc.checkpoint.file import load_checkpoint
from rlmpc.command_line import files
from rlmpc.contract import terms
from rlmpc.envs.make import env_config, observation_terms

pytestmark = pytest.mark.sim

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/add-a-task.md").read_text()
BLOCKS = [block.strip("\n") for block in re.findall(r"^```(?:python|bash)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)]
SMALL = ["device=cpu", "num_envs=4"]


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """A folder with the page's files and the project's `conf/`."""
    root = tmp_path_factory.mktemp("clone")
    shutil.copytree(ROOT / "conf", root / "conf")
    for name, text in re.findall(r"^`(\S+)`:\n\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture
def gravel(clone, monkeypatch):
    """The task of the page, as if its files and lines were the project's."""
    monkeypatch.setattr(files, "CONF_DIR", clone / "conf")
    monkeypatch.setattr(rlmpc.tasks, "__path__", [*rlmpc.tasks.__path__, str(clone / "rlmpc/tasks")])
    (ids,) = (block for block in BLOCKS if block.startswith("_register("))
    exec(ids, vars(rlmpc.tasks))
    (line,) = (block for block in BLOCKS if "Meaning(" in block)
    for name, meaning in eval(f"{{{line}}}", vars(terms)).items():
        monkeypatch.setitem(terms.TERMS, name, meaning)
    yield
    for module in [name for name in sys.modules if name.startswith("rlmpc.tasks.gravel")]:
        del sys.modules[module]


def test_the_commands_of_the_page_run(gravel, command, capsys):
    (block,) = (block for block in BLOCKS if block.startswith("python play.py"))
    zero, random, learn = (line.split()[2:] for line in block.splitlines())
    for arguments in (zero, random):
        code, out, err = command(play.main, *arguments, *SMALL, "steps=10")
        assert code == 0, err
        assert "action_rate" in out
    short = ["agent.num_steps=4", "trainer.max_epochs=1", "run.dir=run"]
    code, _, err = command(train.main, *learn, *SMALL, *short)
    assert code == 0, err
    checkpoint = load_checkpoint(Path("run/checkpoints/last.ckpt"))
    assert checkpoint.config["agent"]["actor_hidden"] == checkpoint.config["agent"]["critic_hidden"] == [256, 128]
    told = checkpoint.hyperparameters["contract"]
    assert told["observations"]["critic"][-1]["name"] == "foot_speed"
    assert list(told["world"]["terrain"]["kinds"]) == ["gravel"]


def test_its_terms_are_described(gravel):
    cfg = train.compose_train(["task=gravel"])[0].task
    observed = observation_terms(cfg, env_config(cfg, {}))
    assert {name for group in observed.values() for name in group} - terms.TERMS.keys() == set()


def test_the_test_of_the_page_passes(gravel, clone, make_env):
    names: dict = {}
    exec((clone / "tests/tasks/test_gravel_sim.py").read_text(), names)
    (test,) = (value for name, value in names.items() if name.startswith("test_"))
    test(make_env)
