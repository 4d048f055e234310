"""Imports point one way, and each library stays where it belongs."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted([*ROOT.glob("rlmpc/**/*.py"), *ROOT.glob("callbacks/**/*.py"), ROOT / "train.py", ROOT / "play.py"])


def imported_modules(path: Path) -> set[str]:
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            modules.add(node.module or "")
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    return modules


def offenders(package: str, allowed: tuple[str, ...]) -> list[str]:
    """Files that import `package` although they lie under none of the allowed places."""

    def imports_it(path: Path) -> bool:
        return any(module == package or module.startswith(f"{package}.") for module in imported_modules(path))

    names = [str(path.relative_to(ROOT)) for path in FILES if imports_it(path)]
    return [name for name in names if not name.startswith(allowed)]


def test_the_scan_sees_the_files_and_their_imports():
    assert len(FILES) > 20
    assert "lightning" in imported_modules(ROOT / "train.py")


@pytest.mark.parametrize(
    ("package", "allowed"),
    [
        ("callbacks", ("callbacks/", "train.py", "play.py")),
        (
            "lightning",
            (
                *("rlmpc/learners/", "rlmpc/rollout/datamodule.py", "callbacks/", "train.py", "play.py"),
                # How Lightning is set up, and asked who launched this process.
                "rlmpc/run/",
            ),
        ),
        ("isaaclab", ("rlmpc/envs/isaaclab_", "rlmpc/envs/launch.py", "rlmpc/tasks/", "rlmpc/robots/")),
        ("isaaclab_newton", ("rlmpc/envs/isaaclab_state.py", "rlmpc/tasks/", "rlmpc/robots/")),
        ("isaaclab_tasks", ("rlmpc/tasks/",)),
        ("warp", ("rlmpc/envs/isaaclab_", "rlmpc/envs/launch.py", "rlmpc/tasks/")),
        ("pxr", ("rlmpc/robots/",)),
        ("rlmpc.learners", ("rlmpc/learners/", "callbacks/", "train.py", "play.py")),
        ("rlmpc.tasks", ("rlmpc/tasks/", "rlmpc/envs/isaaclab_", "rlmpc/envs/make.py")),
        ("rlmpc.robots", ("rlmpc/robots/", "rlmpc/tasks/", "rlmpc/sim2sim/")),
        (
            "rlmpc.rollout",
            ("rlmpc/rollout/", "rlmpc/resume.py", "rlmpc/learners/", "callbacks/", "train.py", "play.py"),
        ),
    ],
)
def test_a_package_is_imported_only_where_it_belongs(package: str, allowed: tuple[str, ...]):
    assert offenders(package, allowed) == []


def test_rollout_knows_of_environments_only_the_contract():
    for path in (ROOT / "rlmpc/rollout").glob("*.py"):
        envs = {module for module in imported_modules(path) if module.startswith("rlmpc.envs")}
        assert all(module.startswith("rlmpc.envs.vec_env") for module in envs), path


@pytest.mark.parametrize("place", ["rlmpc/losses", "rlmpc/networks", "rlmpc/rollout/gae.py", "rlmpc/rollout/buffer.py"])
def test_numerics_import_torch_and_the_layout_of_observations_only(place: str):
    path = ROOT / place
    standard = {"__future__", "abc", "collections", "math", "typing", "torch"}
    for file in path.glob("*.py") if path.is_dir() else [path]:
        foreign = {m for m in imported_modules(file) if m.split(".")[0] not in standard}
        assert all(module.startswith(("rlmpc.networks", "rlmpc.contract.observations")) for module in foreign), (
            file,
            foreign,
        )
