"""Processes that wait for each other say for whom, and end with a sentence."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest

from rlmpc.errors import RunError
from rlmpc.run import gathering
from rlmpc.run.gathering import Meeting, gather
from tests.warm import reserved_port

ROOT = Path(__file__).resolve().parents[2]
ALONE = """
import sys
from datetime import timedelta
import train
from rlmpc.run import gathering, trainer
from rlmpc.run.command import run_command
gathering.REMIND_S = 1.0
trainer.COLLECTIVE_TIMEOUT = timedelta(seconds=3)
run_command(train.main)
"""


@pytest.fixture(autouse=True)
def _reminds_soon(monkeypatch):
    monkeypatch.setattr(gathering, "REMIND_S", 0.2)


def meeting(rank: int, port: int, address: str = "127.0.0.1") -> Meeting:
    return Meeting(address, port, rank, 2, num_machines=2, is_first_of_machine=True)


def test_processes_that_come_late_are_waited_for(capsys):
    port = reserved_port()
    with ThreadPoolExecutor() as pool:
        late = pool.submit(gather, meeting(1, port), timedelta(seconds=30))
        # Nobody is there for a while.
        assert not late.done()
        first = gather(meeting(0, port), timedelta(seconds=30))
        late.result().set("a", "b")
        assert first.get("a") == b"b"


def test_one_that_stays_alone_says_where_it_waits_and_for_how_many(capsys, monkeypatch):
    monkeypatch.setenv("NODE_RANK", "0")
    port = reserved_port()
    # Time passes when it sleeps, and not otherwise.
    clock = count(step=0.1)
    monkeypatch.setattr(gathering, "time", SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _: None))
    with pytest.raises(RunError, match=r"only 1 of 2 processes have come to 127\.0\.0\.1:\d+ .* within 1 s"):
        gather(meeting(0, port), timedelta(seconds=1))
    line, *more = capsys.readouterr().err.splitlines()
    assert line == (
        f"waiting: 1 of 2 processes have come to 127.0.0.1:{port} (MASTER_ADDR, MASTER_PORT); "
        "each machine runs the same command, with its own NODE_RANK"
    )
    assert 1 <= len(more) <= 4


@pytest.mark.parametrize("address", ["127.0.0.1", "no-such-machine.invalid"])
def test_a_first_process_that_is_not_reached_is_named(capfd, address):
    port = reserved_port()
    with pytest.raises(RunError, match=rf"the first process cannot be reached at {address}:{port}"):
        gather(meeting(1, port, address), timedelta(seconds=2))
    assert f"waiting: the first process is not reached yet at {address}:{port}" in capfd.readouterr().err


def test_a_port_that_is_taken_is_named():
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(RunError, match=rf"port {port} \(MASTER_PORT\) cannot be opened"):
            gather(meeting(0, port), timedelta(seconds=5))


@pytest.mark.slow
def test_a_run_of_two_machines_of_which_one_never_comes_ends_with_a_sentence(warm, tmp_path):
    arguments = [
        "task=toy",
        "device=cpu",
        "num_envs=16",
        "logger=[]",
        "checkpoint.export=false",
        "run.dir=run",
        "trainer.num_nodes=2",
    ]
    port = str(reserved_port())
    environment = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    done: subprocess.CompletedProcess[str] = warm.run(
        [sys.executable, "-c", ALONE, *arguments], cwd=tmp_path, env=environment, timeout=120
    )
    assert done.returncode == 1
    assert f"waiting: 1 of 2 processes have come to 127.0.0.1:{port}" in done.stderr
    assert f"only 1 of 2 processes have come to 127.0.0.1:{port} (MASTER_ADDR, MASTER_PORT) within 3 s" in done.stderr
    assert "Traceback" not in done.stderr
