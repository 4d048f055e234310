"""What `pip install .` gives, and what pyproject.toml says that it needs."""

from __future__ import annotations

import ast
import itertools
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
IMPORTED_FROM = {"commands and library": ("rlmpc", "callbacks", "train.py", "play.py"), "benchmarks": ("benchmarks",)}
LIST_TASKS = "import gymnasium, rlmpc.tasks; print(rlmpc.tasks.__file__, *gymnasium.registry)"


def imported_packages(place: Path) -> set[str]:
    """Top-level names that a file, or those of a folder, import."""
    names: set[str] = set()
    for path in [place] if place.is_file() else place.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add((node.module or "").split(".")[0])
    return names


def declared(requirements: list[str]) -> set[str]:
    return {re.split(r"[^\w.-]", requirement)[0].lower() for requirement in requirements}


@pytest.fixture(scope="module")
def distributions() -> Mapping[str, list[str]]:
    """The distributions that an imported package comes from; finding them reads the files of all that is installed."""
    return packages_distributions()


@pytest.mark.parametrize("who", IMPORTED_FROM)
def test_every_package_that_is_imported_is_declared(distributions: Mapping[str, list[str]], who: str):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    optional = project["project"]["optional-dependencies"].values()
    accepted = declared([*project["project"]["dependencies"], *itertools.chain(*optional)])
    if who == "benchmarks":
        accepted |= declared([*itertools.chain(*project["dependency-groups"].values())])
    imported = set().union(*(imported_packages(ROOT / place) for place in IMPORTED_FROM[who]))
    ours = {path.stem for path in [*ROOT.iterdir(), *ROOT.glob("benchmarks/*.py")]}
    foreign = {name: distributions.get(name, [name]) for name in imported - ours - sys.stdlib_module_names}
    assert [
        name for name, found in foreign.items() if not {d.lower().replace("_", "-") for d in found} & accepted
    ] == []


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The package as `pip install .` installs it, from a copy, for building leaves files beside the sources."""
    folder = tmp_path_factory.mktemp("install")
    left_out = shutil.ignore_patterns(".*", "__pycache__", "logs", "tests", "docs", "benchmarks", "*.egg-info", "build")
    shutil.copytree(ROOT, folder / "source", ignore=left_out)
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    options = ["--quiet", "--no-compile", *offline]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", folder / "site", folder / "source"]
    subprocess.run(command, check=True, timeout=120)
    return folder / "site"


def test_an_installation_holds_the_library_with_its_data_and_nothing_else(site: Path):
    packages = {path.name for path in site.iterdir()}
    assert {name for name in packages if not name.endswith(".dist-info")} == {"rlmpc"}
    sources = {path.relative_to(ROOT) for path in (ROOT / "rlmpc").rglob("*.json")}
    assert sources and {path.relative_to(site) for path in (site / "rlmpc").rglob("*.json")} == sources
    assert {path.relative_to(ROOT) for path in (ROOT / "rlmpc").rglob("*.py")} == {
        path.relative_to(site) for path in (site / "rlmpc").rglob("*.py")
    }


def test_an_installation_registers_its_tasks_and_tells_isaac_lab_of_them(site: Path, tmp_path: Path):
    (entry_points,) = site.glob("*.dist-info/entry_points.txt")
    assert "[isaaclab.tasks]\nrlmpc = rlmpc.tasks" in entry_points.read_text()
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(site)!r}); {LIST_TASKS}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    file, *tasks = done.stdout.split()
    assert Path(file).is_relative_to(site)
    assert {"RLMPC-Blind-G1-v0", "RLMPC-Phase1-Scan-G1-Play-v0"} <= set(tasks)
