"""Stopping one process, within this process: the moment of the signal is certain."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import torch

import train
from rlmpc.algorithms.ppo.learner import PpoLearner
from rlmpc.envs.toy import ToyEnv
from rlmpc.errors import RunError
from rlmpc.run import stopping
from rlmpc.run.stopping import StopSignals

pytestmark = pytest.mark.slow

SMALL = [
    *("task=toy", "device=cpu", "num_envs=16", "agent.num_steps=4", "logger=[]", "trainer.max_epochs=9"),
    "checkpoint.export=false",
]
FOUND_AT_SLURM = {
    **{"SLURM_JOB_ID": "4711", "SLURM_NTASKS": "1", "SLURM_NTASKS_PER_NODE": "1", "SLURM_NNODES": "1"},
    **{"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_JOB_NAME": "walk"},
}


@pytest.fixture
def sends(monkeypatch) -> Iterator[Callable[[signal.Signals], Callable[[], None]]]:
    """Gives what sends a signal to this process and waits until it has said so, which another thread may do.

    Gives the signals back to pytest after a run was stopped, which a process that ends does not need.
    """
    taken: list[StopSignals] = []
    enter, said = StopSignals.__enter__, Event()

    def watched(self: StopSignals) -> StopSignals:
        taken.append(self)
        say, self._say = self._say, lambda line: (say(line), said.set())
        return enter(self)

    def send(signum: signal.Signals) -> None:
        os.kill(os.getpid(), signum)
        assert said.wait(timeout=60)

    monkeypatch.setattr(StopSignals, "__enter__", watched)
    # A machine that is busy with other things may need longer, and what ends then is pytest.
    monkeypatch.setattr(stopping, "START_TIMEOUT_S", 60.0)
    yield lambda signum: lambda: send(signum)
    for signals in taken:
        if signals.received is not None:
            signals.restore()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.fixture
def at_call(monkeypatch) -> Callable[..., None]:
    """Lets something happen before the n-th call of a method."""

    def install(owner: type, name: str, number: int, happen: Callable[[], None]) -> None:
        original, calls = getattr(owner, name), [0]

        def watched(*arguments: Any) -> Any:
            calls[0] += 1
            if calls[0] == number:
                happen()
            return original(*arguments)

        monkeypatch.setattr(owner, name, watched)

    return install


def saved(folder: str = "run") -> list[str]:
    return sorted(path.name for path in Path(folder, "checkpoints").glob("*.ckpt"))


@pytest.mark.parametrize(
    ("owner", "method", "number"),
    [(ToyEnv, "step", 2 * 4 + 2), (PpoLearner, "descend", 2 * 20 + 7)],
    ids=["in a rollout", "in an update"],
)
@pytest.mark.parametrize(("signum", "expected"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_finishes_the_iteration_and_saves(
    command, sends, at_call, monkeypatch, owner, method, number, signum, expected
):
    closed = []
    monkeypatch.setattr(ToyEnv, "close", lambda self: closed.append(True))
    at_call(owner, method, number, sends(signum))
    code, out, _ = command(train.main, *SMALL, "run.dir=run")
    assert code == expected
    assert saved() == ["epoch=2.ckpt", "last.ckpt"]
    assert torch.load("run/checkpoints/last.ckpt", weights_only=True)["epoch"] == 2
    assert closed == [True]
    assert f"{signum.name}: stopping after this iteration; press Ctrl-C again to stop at once" in out
    assert f"stopped by {signum.name}; the run is in 'run', its last checkpoint is epoch=2.ckpt" in out
    assert "go on with: python train.py resume=run" in out


def test_native_code_that_took_a_signal_in_an_iteration_before_does_not_keep_it(command, sends, at_call):
    ignored = ctypes.c_void_p(int(signal.SIG_IGN))
    at_call(ToyEnv, "step", 1 * 4 + 2, lambda: ctypes.CDLL(None).signal(int(signal.SIGTERM), ignored))
    at_call(ToyEnv, "step", 2 * 4 + 2, sends(signal.SIGTERM))
    assert command(train.main, *SMALL, "run.dir=run")[0] == 143
    assert saved() == ["epoch=2.ckpt", "last.ckpt"]


def test_a_run_that_was_stopped_goes_on_from_there(command, sends, at_call):
    at_call(ToyEnv, "step", 2 * 4 + 2, sends(signal.SIGTERM))
    assert command(train.main, *SMALL, "run.dir=run")[0] == 143
    assert command(train.main, "resume=run")[0] == 0
    assert {"epoch=2.ckpt", "epoch=8.ckpt"} < set(saved())


def test_a_signal_before_training_ends_at_once_with_all_closed_and_nothing_saved(command, sends, monkeypatch):
    closed = []
    monkeypatch.setattr(ToyEnv, "close", lambda self: closed.append(True))
    monkeypatch.setattr("rlmpc.run.trainer.make_trainer", lambda *_: sends(signal.SIGTERM)())
    code, _, _ = command(train.main, *SMALL, "run.dir=run")
    assert code == 143
    assert closed == [True]
    assert saved() == []


def test_a_signal_in_the_last_moment_does_not_spoil_a_finished_run(command, sends, monkeypatch):
    monkeypatch.setattr(ToyEnv, "close", lambda self: sends(signal.SIGTERM)())
    assert command(train.main, *SMALL, "run.dir=run")[0] == 0
    assert saved() == ["epoch=8.ckpt", "last.ckpt"]


def test_after_a_run_signals_belong_again_to_whom_they_did(command, sends):
    before = signal.getsignal(signal.SIGINT)
    assert command(train.main, *SMALL, "run.dir=run")[0] == 0
    assert signal.getsignal(signal.SIGINT) is before
    assert signal.set_wakeup_fd(-1) == -1


def raises(error: Exception) -> Callable[[], None]:
    def happen() -> None:
        raise error

    return happen


def test_an_exception_ends_with_code_1_its_traceback_the_run_folder_and_the_last_checkpoint(command, at_call):
    at_call(ToyEnv, "step", 4 * 4 + 2, raises(ZeroDivisionError("on purpose")))
    code, _, err = command(train.main, *SMALL, "checkpoint.every=2", "run.dir=run")
    assert code == 1
    assert "Traceback" in err and "ZeroDivisionError: on purpose" in err
    assert "the run ended with an error; the run is in 'run', its last checkpoint is epoch=3.ckpt" in err
    assert err.rstrip().endswith("python train.py resume=run")


def test_an_error_of_ours_has_no_traceback_but_names_the_run_as_well(command, at_call):
    at_call(ToyEnv, "step", 1, raises(RunError("the disk is full")))
    code, _, err = command(train.main, *SMALL, "run.dir=run")
    assert code == 1
    assert err == "train.py: the disk is full\nthe run ended with an error; the run in 'run' has no checkpoint yet\n"


@pytest.fixture
def slurm(monkeypatch, tmp_path) -> Path:
    """A SLURM job of one task whose `scontrol` writes down what it is asked for."""
    for name, value in FOUND_AT_SLURM.items():
        monkeypatch.setenv(name, value)
    asked = tmp_path / "asked.txt"
    script = tmp_path / "bin/scontrol"
    script.parent.mkdir()
    script.write_text(
        f'#!/bin/sh\nls {tmp_path}/logs/toy/teacher/job_4711/checkpoints > {asked}\necho "$@" >> {asked}\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    return asked


def test_slurms_signal_finishes_the_iteration_saves_and_then_requeues_the_job(command, sends, at_call, slurm):
    at_call(ToyEnv, "step", 2 * 4 + 2, sends(signal.SIGUSR1))
    code, out, _ = command(train.main, *SMALL)
    assert code == 128 + signal.SIGUSR1
    assert slurm.read_text().splitlines() == ["epoch=2.ckpt", "last.ckpt", "requeue 4711"]
    assert "stopped by SIGUSR1; the run is in 'logs/toy/teacher/job_4711'" in out
    assert not list(Path().rglob("hpc_ckpt*"))


def test_a_task_of_a_job_array_is_requeued_by_its_own_number(command, sends, at_call, slurm, monkeypatch):
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "4700")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "11")
    at_call(ToyEnv, "step", 2, sends(signal.SIGUSR1))
    command(train.main, *SMALL)
    assert slurm.read_text().splitlines()[-1] == "requeue 4700_11"


def test_a_requeue_that_slurm_refuses_is_an_error(command, sends, at_call, slurm):
    slurm.with_name("bin").joinpath("scontrol").write_text("#!/bin/sh\nexit 1\n")
    at_call(ToyEnv, "step", 2, sends(signal.SIGUSR1))
    code, _, err = command(train.main, *SMALL)
    assert code == 1
    assert "SLURM job 4711 could not be requeued" in err


def test_sigterm_in_a_slurm_job_saves_but_does_not_requeue(command, sends, at_call, slurm):
    at_call(ToyEnv, "step", 2, sends(signal.SIGTERM))
    assert command(train.main, *SMALL)[0] == 143
    assert saved("logs/toy/teacher/job_4711") == ["epoch=0.ckpt", "last.ckpt"]
    assert not slurm.exists()
