from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rlmpc.run.threads import CHOSEN_BY_USER, NUMBER, use_one_thread

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch):
    for name in CHOSEN_BY_USER:
        # Set first, so that what the function sets is undone, too.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def test_torch_takes_one_thread():
    use_one_thread()
    assert os.environ[NUMBER] == "1"


@pytest.mark.parametrize("name", CHOSEN_BY_USER)
def test_a_user_who_chose_threads_has_the_say(monkeypatch, name: str):
    monkeypatch.setenv(name, "3")
    use_one_thread()
    assert os.environ.get(NUMBER) == ("3" if name == NUMBER else None)


@pytest.mark.parametrize("command", ["train", "play"])
def test_a_command_imports_torch_after_that(command: str):
    code = f"import sys, {command}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
