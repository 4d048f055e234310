"""Follows `docs/add-an-algorithm.md` to the letter."""

from __future__ import annotations

import csv
import re
import shutil
import sys
from pathlib import Path

import pytest

import rlmpc.algorithms
import train
from rlmpc.algorithms import table
from rlmpc.command_line import files

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/add-an-algorithm.md").read_text()
PACKAGE = "rlmpc.algorithms.small_actions"


@pytest.fixture
def small_actions(tmp_path, monkeypatch):
    """The page's files, its line in the table, and the arguments of its command."""
    root = tmp_path / "clone"
    shutil.copytree(ROOT / "conf", root / "conf")
    written = re.findall(r"^`(\S+)`:\n\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for name, text in written:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(files, "CONF_DIR", root / "conf")
    places = [*rlmpc.algorithms.__path__, str(root / "rlmpc/algorithms")]
    monkeypatch.setattr(rlmpc.algorithms, "__path__", places)
    (line,) = re.findall(r"^ALGORITHMS = .*$", PAGE, re.MULTILINE)
    names = {"SMALL_ACTIONS": __import__(PACKAGE, fromlist=["SMALL_ACTIONS"]).SMALL_ACTIONS}
    exec(line, vars(table) | names, names)
    assert list(names["ALGORITHMS"])[:-1] == list(table.ALGORITHMS)
    monkeypatch.setitem(table.ALGORITHMS, "small_actions", names["ALGORITHMS"]["small_actions"])
    (arguments,) = re.findall(r"^python train.py (.*)$", PAGE, re.MULTILINE)
    yield arguments.split()
    for module in [name for name in sys.modules if name.startswith(PACKAGE)]:
        del sys.modules[module]


def test_an_algorithm_that_is_added_as_documented_learns_and_goes_on(small_actions, command):
    small = ["num_envs=16", "device=cpu", "logger=[csv]", "checkpoint.every=1", "run.dir=run"]
    code, out, _ = command(train.main, *small_actions, *small, "trainer.max_epochs=2")
    assert code == 0, out
    code, out, _ = command(train.main, "resume=run", "trainer.max_epochs=3")
    assert code == 0, out
    with Path("run/metrics.csv").open() as file:
        penalties = [float(row["loss/action"]) for row in csv.DictReader(file)]
    assert len(penalties) == 3
    assert all(penalty > 0.0 for penalty in penalties)


def test_its_settings_are_checked_like_those_of_the_others(small_actions, command):
    code, _, err = command(train.main, *small_actions[:2], "agent.action_coef=-1")
    assert code == 2
    assert "'agent.action_coef' must be at least 0, not -1" in err


def test_without_the_page_there_is_no_such_agent(command):
    code, _, err = command(train.main, "task=toy", "agent=small_actions")
    assert code == 2
    assert "unknown agent 'small_actions'" in err
