"""The house: rooms on floors, imports that point down, libraries that stay where they belong, small modules."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted([*ROOT.glob("rlmpc/**/*.py"), *ROOT.glob("callbacks/**/*.py"), ROOT / "train.py", ROOT / "play.py"])

FLOORS = (
    ("rlmpc.errors", "rlmpc.kernels"),
    ("rlmpc.contract",),
    ("rlmpc.config", "rlmpc.losses", "rlmpc.robots"),
    ("rlmpc.networks",),
    ("rlmpc.graphs", "rlmpc.mpc"),
    ("rlmpc.checkpoint", "rlmpc.tasks"),
    ("rlmpc.run",),
    ("rlmpc.envs",),
    ("rlmpc.rollout",),
    ("rlmpc.learners",),
    ("rlmpc.algorithms",),
    ("rlmpc.evaluation", "rlmpc.export"),
    ("rlmpc.sim2sim",),
    ("rlmpc.command_line",),
    ("rlmpc.play", "rlmpc.deploy", "rlmpc.sweep"),
    ("callbacks",),
    ("train", "play"),
)
"""Rooms from the ground up. A module imports its own room and rooms on floors below."""

LIBRARIES = {
    "lightning": (
        *("rlmpc.learners", "rlmpc.algorithms", "rlmpc.run", "rlmpc.rollout.datamodule"),
        *("callbacks", "train"),
    ),
    "isaaclab": ("rlmpc.envs.isaaclab", "rlmpc.tasks", "rlmpc.robots"),
    "isaaclab_newton": ("rlmpc.envs.isaaclab", "rlmpc.tasks", "rlmpc.robots"),
    "isaaclab_tasks": ("rlmpc.tasks",),
    "isaaclab_rl": ("rlmpc.tasks",),
    "warp": ("rlmpc.envs.isaaclab", "rlmpc.tasks", "rlmpc.mpc.kernels"),
    "pxr": ("rlmpc.robots",),
    "mujoco": ("rlmpc.sim2sim",),
    "optuna": ("rlmpc.sweep",),
    "viser": ("rlmpc.play.live",),
    "wandb": ("rlmpc.run",),
    "mlflow": ("rlmpc.run",),
}
"""Library -> the only modules and rooms that import it."""

WITHOUT_TORCH = ("rlmpc.errors", "rlmpc.contract", "rlmpc.config", "rlmpc.sim2sim", "rlmpc.export.deployment",
                 "rlmpc.deploy")  # fmt: skip
"""What starts fast, or runs where nothing was trained."""

NUMERICS = ("rlmpc.losses", "rlmpc.networks")
"""What imports nothing but torch, Triton, the layout of observations, what every agent sets, and each other."""
ALLOWED_IN_NUMERICS = (
    *("torch", "triton", "rlmpc.losses", "rlmpc.networks", "rlmpc.contract"),
    *("rlmpc.kernels", "rlmpc.config.agent", "rlmpc.config.installed"),
)

MAX_MODULE_LINES = 350
MAX_FUNCTION_LINES = 60


def name_of(path: Path) -> str:
    """Dotted name of a module."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in FILES}


def is_in(module: str, places: tuple[str, ...]) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in places)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def imports_of(path: Path) -> frozenset[str]:
    """Modules that a file imports, wherever in the file; for `from a import b`, `a.b` if that is a module of ours."""
    found: set[str] = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            full = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (full & MODULES.keys()) or {node.module or ""}
    return frozenset(found)


def floor_of(module: str) -> tuple[int, str]:
    """Floor and room of a module of ours."""
    rooms = [(floor, room) for floor, names in enumerate(FLOORS) for room in names if is_in(module, (room,))]
    assert len(rooms) == 1, f"{module} is in no room, or in several: {rooms}"
    return rooms[0]


def importers(package: str) -> list[str]:
    return [name for name, path in MODULES.items() if any(is_in(module, (package,)) for module in imports_of(path))]


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    yield from (node for node in ast.walk(tree_of(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_the_scan_sees_modules_and_their_imports():
    assert len(MODULES) > 20
    assert is_in("a.b", ("a",))
    assert not is_in("ab", ("a",))
    # An import within a function, which is how play.py starts what it plays.
    assert any(module.startswith("rlmpc.play") for module in imports_of(ROOT / "play.py"))


def test_a_module_imports_only_its_own_room_and_rooms_below():
    upwards = {}
    for name in MODULES.keys() - {"rlmpc", "callbacks"}:
        floor, room = floor_of(name)
        ours = {other for other in imports_of(MODULES[name]) if other != "rlmpc" and other in MODULES}
        wrong = {other for other in ours if floor_of(other)[1] != room and floor_of(other)[0] >= floor}
        upwards |= {name: wrong} if wrong else {}
    assert upwards == {}


@pytest.mark.parametrize(("library", "places"), LIBRARIES.items())
def test_a_library_is_imported_only_where_it_belongs(library: str, places: tuple[str, ...]):
    assert [name for name in importers(library) if not is_in(name, places)] == []


def test_what_starts_fast_imports_no_torch():
    assert [name for name in importers("torch") if is_in(name, WITHOUT_TORCH)] == []


def test_what_starts_fast_imports_nothing_of_ours_that_imports_torch():
    """By way of other modules too. What a function imports is left out: it is imported when that is called."""
    slow = {name for name, path in MODULES.items() if any(is_in(other, ("torch",)) for other in _at_import(path))}
    while more := {name for name, path in MODULES.items() if _at_import(path) & slow} - slow:
        slow |= more
    assert {name for name in slow if is_in(name, WITHOUT_TORCH)} == set()


def _at_import(path: Path) -> set[str]:
    """What is imported as soon as a file is, neither in a function nor for type checkers only."""
    found: set[str] = set()

    def visit(body: list[ast.stmt]) -> None:
        for node in body:
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                full = {f"{node.module}.{alias.name}" for alias in node.names}
                found.update((full & MODULES.keys()) or {node.module or ""})
            elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.dump(node.test):
                visit([*node.body, *node.orelse])
            elif isinstance(node, ast.ClassDef | ast.Try | ast.With):
                visit(node.body)

    visit(tree_of(path).body)
    return found


def test_numerics_import_torch_triton_and_the_layout_of_observations_only():
    for name in (name for name in MODULES if is_in(name, NUMERICS)):
        foreign = {n for n in imports_of(MODULES[name]) if n.split(".")[0] not in sys.stdlib_module_names}
        assert {n for n in foreign if not is_in(n, ALLOWED_IN_NUMERICS)} == set(), name


def test_no_module_and_no_function_is_long():
    lengths = {name: len(path.read_text().splitlines()) for name, path in MODULES.items()}
    assert {name: length for name, length in lengths.items() if length > MAX_MODULE_LINES} == {}
    long = {
        f"{name}:{node.name}": node.end_lineno - node.lineno + 1
        for name, path in MODULES.items()
        for node in functions(path)
        if node.end_lineno is not None and node.end_lineno - node.lineno >= MAX_FUNCTION_LINES
    }
    assert long == {}


def test_no_module_of_tests_is_skipped_since_the_simulator_is_blocked_when_it_is_collected():
    modules = [*(ROOT / "tests").rglob("*_sim.py")]
    assert modules
    assert [path.name for path in modules if "\npytest.importorskip(" in path.read_text()] == []
