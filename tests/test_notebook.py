"""`docs/play.ipynb`: its cells are run, save for the command, which is composed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from rlmpc.command_line.play import compose_play

ROOT = Path(__file__).resolve().parents[1]


def test_the_notebook_plays_a_published_policy_and_shows_its_video(monkeypatch, capsys):
    notebook = json.loads((ROOT / "docs/play.ipynb").read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    played, shown = [], []
    display = ModuleType("IPython.display")
    display.Video = lambda path, embed: shown.append((path, embed))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython.display", display)

    def play(command: list[str], **_: object) -> SimpleNamespace:
        played.append(command)
        return SimpleNamespace(stdout="a table", stderr="")

    monkeypatch.setattr(subprocess, "run", play)
    monkeypatch.chdir(ROOT / "docs")
    names: dict[str, object] = {}
    for cell in cells:
        exec(compile("".join(cell["source"]), "play.ipynb", "exec"), names)

    assert Path.cwd() == ROOT
    assert "a table" in capsys.readouterr().out
    (command,) = played
    assert command[:2] == [sys.executable, "play.py"]
    cfg, checkpoint = compose_play(command[2:])
    assert (cfg.backend, cfg.video, cfg.steps) == ("mujoco", True, 400)
    assert checkpoint is not None
    assert shown == [(Path(str(cfg.run.dir)) / "video.mp4", True)]


@pytest.mark.parametrize("page", ["README.md", "docs/docker.md"])
def test_the_notebook_is_named_where_people_look(page: str):
    assert "play.ipynb" in (ROOT / page).read_text()
