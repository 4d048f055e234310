"""Tests that share what they have set up run in one process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TESTS = """
import os, pytest
from pathlib import Path

@pytest.mark.parametrize("number", range(4))
def test_it(number):
    with Path("ran.txt").open("a") as file:
        print(Path(__file__).stem, os.environ["PYTEST_XDIST_WORKER"], file=file)
"""


@pytest.mark.slow
def test_a_module_and_the_modules_of_exports_have_one_worker_each(tmp_path: Path):
    for name in ("test_one.py", "test_two.py", "export/test_three.py", "export/test_four.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(TESTS)
    options = ["-p", "tests.scheduling", "-n", "2", "--no-loadscope-reorder", "--rootdir", tmp_path, tmp_path]
    command = [sys.executable, "-m", "pytest", "--import-mode=importlib", *options]
    subprocess.run(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True, capture_output=True)
    ran = [line.split() for line in (tmp_path / "ran.txt").read_text().splitlines()]
    workers = {name: {worker for where, worker in ran if where == name} for name, _ in ran}
    assert len(ran) == 16
    assert {name: len(found) for name, found in workers.items()} == dict.fromkeys(workers, 1)
    assert workers["test_three"] == workers["test_four"]
