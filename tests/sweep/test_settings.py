from __future__ import annotations

from pathlib import Path

from rlmpc.command_line.files import CONF_DIR
from rlmpc.sweep.settings import read_sweep

ROOT = CONF_DIR.parent


def test_the_folder_has_the_name_of_the_file():
    assert read_sweep(CONF_DIR / "sweep/toy.yaml").place == Path("logs/sweeps/toy")


def test_the_documentation_shows_the_example(tmp_path: Path):
    text = (ROOT / "docs/sweep.md").read_text().split("```yaml\n")[1].split("```")[0]
    (tmp_path / "toy.yaml").write_text(text)
    assert read_sweep(tmp_path / "toy.yaml") == read_sweep(CONF_DIR / "sweep/toy.yaml")
