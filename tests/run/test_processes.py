"""Several processes: who they are, and that they stop, fail and end together."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from rlmpc.command_line.train import compose_train
from rlmpc.errors import UserError
from rlmpc.run.processes import global_rank, is_lightning_child, local_rank, slurm_job, with_layout
from tests.warm import reserved_port

ROOT = Path(__file__).resolve().parents[2]
FAULTY = ROOT / "tests/train_with_fault.py"
RECORDING = ROOT / "tests/algorithms/train_one_rank.py"
TORCHRUN = {"LOCAL_WORLD_SIZE": "2", "WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "1", "TORCHELASTIC_RUN_ID": "none"}
SLURM = {
    **{"SLURM_JOB_ID": "4711", "SLURM_JOB_NAME": "walk", "SLURM_NTASKS": "8", "SLURM_NTASKS_PER_NODE": "4"},
    **{"SLURM_NNODES": "2", "SLURM_PROCID": "5", "SLURM_LOCALID": "1", "SLURM_NODEID": "1", "SLURM_STEP_ID": "0"},
}
SOON_S = 90.0
"""Until all is gone; a collective waits for minutes, and a machine may be busy with other things."""
CHILD = {"LOCAL_RANK": "1", "NODE_RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
"""What Lightning gives the processes that it starts."""


@pytest.fixture
def launched(monkeypatch):
    """Puts into the environment what a launcher would."""

    def put(variables: dict[str, str]) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return put


@pytest.mark.parametrize(
    ("variables", "local", "of_all"),
    [
        ({}, 0, 0),
        ({"LOCAL_RANK": "1"}, 1, 1),
        ({"NODE_RANK": "2", "LOCAL_RANK": "1"}, 1, 9),
        (TORCHRUN, 1, 3),
        (SLURM, 1, 5),
        (SLURM | TORCHRUN, 1, 3),
        (SLURM | {"SLURM_JOB_NAME": "interactive"}, 0, 0),
    ],
)
def test_a_process_knows_its_number_on_its_machine_and_among_all(launched, variables, local, of_all):
    launched(variables)
    assert (local_rank(), global_rank(devices=4)) == (local, of_all)


def test_without_a_launcher_nothing_is_imported_to_find_that_out(monkeypatch):
    """Importing Lightning takes 10 s."""
    monkeypatch.setitem(sys.modules, "lightning.fabric.plugins.environments.slurm", None)
    assert (local_rank(), global_rank(devices=4), slurm_job(), is_lightning_child()) == (0, 0, None, False)
    assert with_layout({"seed": 1}) == {"seed": 1}


def test_only_what_lightning_started_itself_is_its_child(launched):
    assert not is_lightning_child()
    launched(CHILD)
    assert is_lightning_child()
    launched(TORCHRUN)
    assert not is_lightning_child()


def test_the_job_is_known_where_slurm_started_this_process(launched):
    assert slurm_job() is None
    launched(SLURM)
    assert slurm_job() == 4711
    launched({"SLURM_JOB_NAME": "bash"})
    assert slurm_job() is None


@pytest.mark.parametrize(
    ("variables", "layout"), [({}, (1, 1)), (TORCHRUN, (2, 2)), (SLURM, (4, 2)), (SLURM | TORCHRUN, (2, 2))]
)
def test_processes_and_machines_follow_from_the_launcher(launched, variables, layout):
    launched(variables)
    trainer = compose_train(["task=toy"])[0].trainer
    assert (trainer.devices, trainer.num_nodes) == layout


def test_without_a_launcher_the_number_of_processes_is_given():
    assert compose_train(["task=toy", "trainer.devices=3"])[0].trainer.devices == 3


@pytest.mark.parametrize(
    ("variables", "argument", "sentence"),
    [
        (TORCHRUN, "trainer.devices=3", "trainer.devices=3, but torchrun started with 2; leave trainer.devices out"),
        (TORCHRUN, "trainer.num_nodes=1", "trainer.num_nodes=1, but torchrun started with 2"),
        (SLURM, "trainer.devices=8", "trainer.devices=8, but SLURM started with 4"),
        (TORCHRUN | {"WORLD_SIZE": "3", "RANK": "2"}, "seed=1", "torchrun started 3 processes, of which 2 here"),
        (SLURM | {"SLURM_NNODES": "4"}, "seed=1", "SLURM started 2 times 4 tasks on 4 machines; each needs as many"),
    ],
)
def test_what_contradicts_the_launcher_is_refused(launched, variables, argument, sentence):
    launched(variables)
    with pytest.raises(UserError, match=re.escape(sentence)):
        compose_train(["task=toy", argument])


def arguments(folder: Path, *more: str) -> list[str]:
    shared = [
        "task=toy",
        "device=cpu",
        "num_envs=16",
        "logger=[]",
        "checkpoint.export=false",
        f"run.dir={folder / 'run'}",
    ]
    return [*shared, *(more or ["trainer.max_epochs=1000"])]


@pytest.fixture
def start(warm, tmp_path) -> Callable[[str, str], subprocess.Popen[str]]:
    """Starts a launcher whose second rank has a fault; all its processes are in an empty folder."""

    def start_launcher(launcher: str, fault: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "FAULT": fault}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "cwd": tmp_path, "env": environment}
        if launcher == "lightning":
            command = [sys.executable, str(FAULTY), "trainer.devices=2", *arguments(tmp_path)]
            return warm.start(command, spare=True, **pipes)
        torchrun = ["-m", "torch.distributed.run", f"--master-port={reserved_port()}", "--nproc-per-node=2"]
        return subprocess.Popen([sys.executable, *torchrun, str(FAULTY), *arguments(tmp_path)], text=True, **pipes)

    return start_launcher


def left_over(folder: Path) -> list[int]:
    """Processes that are still in `folder`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):
            if path.readlink() == folder:
                found.append(int(path.parent.name))
    return found


def all_gone(folder: Path, within_s: float) -> bool:
    end = time.monotonic() + within_s
    while left_over(folder) and time.monotonic() < end:
        time.sleep(0.05)
    for pid in (remaining := left_over(folder)):
        os.kill(pid, signal.SIGKILL)
    return not remaining


def end(process: subprocess.Popen[str], folder: Path, within_s: float = 0.0) -> tuple[int, str, float]:
    """Exit code, output, and seconds from the fault until every process was gone."""
    try:
        output, _ = process.communicate(timeout=300)
    finally:
        gone = all_gone(folder, within_s)
    assert gone, output
    fault = re.search(r"fault at ([\d.]+)", output)
    return process.returncode, output, time.time() - float(fault[1]) if fault else 0.0


def saved(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "run/checkpoints").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "fault", "code"),
    [("lightning", "SIGTERM rollout 1", 143), ("torchrun", "SIGINT update 0", 1)],
)
def test_ranks_leave_together_when_one_of_them_is_signalled(start, tmp_path, launcher, fault, code):
    """Torchrun's own code is 1 whatever the ranks end with; it lists theirs."""
    returncode, output, seconds = end(start(launcher, fault), tmp_path, within_s=SOON_S)
    assert returncode == code, output
    assert saved(tmp_path) == ["epoch=2.ckpt", "last.ckpt"]
    checkpoint = torch.load(tmp_path / "run/checkpoints/epoch=2.ckpt", weights_only=True)
    assert checkpoint["epoch"] == 2
    assert f"stopped by {fault.split()[0]}; the run is in" in output
    if launcher == "torchrun":
        assert set(re.findall(r"exitcode\s*: (-?\d+)", output)) == {"130"}
    assert 0 < seconds < SOON_S


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_is_killed_ends_all_with_an_error(start, tmp_path, rank):
    returncode, output, seconds = end(start("lightning", f"SIGKILL update {rank}"), tmp_path, within_s=SOON_S)
    assert returncode != 0
    assert 0 < seconds < SOON_S, output


@pytest.mark.slow
def test_a_rank_whose_torchrun_ends_it_since_another_was_killed_ends_with_an_error(warm, tmp_path):
    """Torchrun sends SIGTERM to the others, one of which may wait for the killed one in a collective."""
    command = [sys.executable, str(FAULTY), *arguments(tmp_path)]
    waiting, killed = warm.start_ranks(command, tmp_path, FAULT="SIGKILL update 1")
    try:
        assert killed.wait(timeout=300) == -signal.SIGKILL, (tmp_path / "rank1.txt").read_text()
        waiting.terminate()
        assert waiting.wait(timeout=SOON_S) != 0
    finally:
        assert all_gone(tmp_path, within_s=SOON_S)


@pytest.mark.slow
def test_an_exception_in_one_rank_ends_all_and_is_shown(start, tmp_path):
    returncode, output, _ = end(start("lightning", "error rollout 1"), tmp_path, within_s=SOON_S)
    assert returncode == 1, output
    assert "ZeroDivisionError: on purpose" in output
    assert "the run ended with an error; the run in" in output


@pytest.mark.slow
def test_two_machines_train_one_policy(warm, tmp_path):
    """Two processes as two torchruns start them, each on a machine of its own."""
    command = [sys.executable, str(RECORDING), str(tmp_path), *arguments(tmp_path, "trainer.max_epochs=3")]
    machines = warm.start_ranks(command, tmp_path, per_machine=1)
    codes = [machine.wait(timeout=300) for machine in machines]
    assert codes == [0, 0], (tmp_path / "rank0.txt").read_text()
    one, two = [torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]
    assert not torch.equal(one["positions"], two["positions"])
    assert one["learner"].keys() == two["learner"].keys()
    assert all(torch.equal(values, two["learner"][name]) for name, values in one["learner"].items())
