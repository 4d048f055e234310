"""Fixtures on the toy environment. What is not marked `sim` runs first, with Isaac Lab blocked from import."""

from __future__ import annotations

import gc
import importlib
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from rlmpc.envs.toy import ToyEnv, ToyEnvCfg
from rlmpc.robots.robot import Robot
from rlmpc.robots.table import ROBOTS
from rlmpc.run.command import run_command
from tests.scheduling import pytest_xdist_make_scheduler  # noqa: F401
from tests.warm import WarmServer

SIMULATOR_PACKAGES = ("isaaclab", "isaaclab_newton", "isaaclab_tasks", "isaaclab_rl", "newton", "warp", "mujoco_warp")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-golden", action="store_true", help="write the golden curve instead of comparing with it")
    parser.addoption("--all-seeds", action="store_true", help="train with all seeds of docs/results.md, not one")
    parser.addoption("--kills", type=int, default=3, help="how often test_kills.py kills its run")
    parser.addoption("--kill-seed", type=int, default=0, help="what draws the moments at which it does")


def pytest_configure() -> None:
    sys.modules.update(dict.fromkeys(SIMULATOR_PACKAGES))  # type: ignore[arg-type]
    # One thread makes sums, and with them every number below, independent of the machine's cores.
    torch.set_num_threads(1)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Admit Isaac Lab with the first test that needs it; no test that does not may come after that."""
    blocked = "isaaclab" in sys.modules and sys.modules["isaaclab"] is None
    assert blocked or is_sim(item), f"{item.nodeid} runs where Isaac Lab has been admitted"
    if blocked and is_sim(item):
        for package in SIMULATOR_PACKAGES:
            del sys.modules[package]
        importlib.import_module("rlmpc.envs.isaaclab.kernels").compile_without_gradients()
        importlib.import_module("rlmpc.envs.isaaclab.env")
        # An environment that is closed collects garbage: not among all that has been imported.
        gc.collect()
        gc.freeze()


def is_sim(item: pytest.Item) -> bool:
    return item.get_closest_marker("sim") is not None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what needs the simulator last.

    Before that, slow modules and, among all, those of whole commands come first, so that no worker is left with one at
    the end.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (is_sim(item), item.path not in slow, item.path.parent != Path(__file__).parent))


@pytest.fixture(scope="session")
def warm() -> Iterator[WarmServer]:
    """Starts processes that have already imported what takes long to import."""
    server = WarmServer()
    yield server
    server.close()


@pytest.fixture
def toy_env() -> ToyEnv:
    """Sixteen toy environments in still air: where nothing pushes, nothing moves."""
    torch.manual_seed(0)
    return ToyEnv(ToyEnvCfg(max_wind=0.0), num_envs=16, device="cpu", seed=0)


@pytest.fixture(scope="module")
def biped() -> Iterator[Robot]:
    """A second robot, in the table of robots as long as the tests of a module run."""
    robot = runpy.run_path(str(Path(__file__).parent / "robots/biped/config.py"))["BIPED"]
    ROBOTS[robot.name] = robot
    yield robot
    del ROBOTS[robot.name]


@pytest.fixture
def command(monkeypatch, tmp_path, capsys):
    """Runs an entry point in an empty folder; gives its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(main, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
        try:
            run_command(main)
            code = 0
        except SystemExit as error:
            code = error.code
        out, err = capsys.readouterr()
        return code, out, err

    return run
