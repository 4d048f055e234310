"""What signals do to a process, in processes of their own: they end."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rlmpc.run.stopping import START_TIMEOUT_S, exit_code, how_to_go_on

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
AT_ONCE_S = 60
"""For a machine that is busy with other things; what does not end at once takes longer."""
WAITING = """
import ctypes, os, signal, sys, time
from rlmpc.run import stopping
from rlmpc.run.stopping import StopSignals

if sys.argv[2] == "starting":
    stopping.START_TIMEOUT_S = float(sys.argv[1])

def say(line):
    print(line, flush=True)

with StopSignals(float(sys.argv[1]), say) as signals:
    if sys.argv[2] == "training":
        signals.defer()
    if sys.argv[3] == "deaf":
        # As in a collective of a process that died, or in a compiler: no handler of Python's runs. The word comes from
        # within the one call, since a signal before it would still be heard.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
        ctypes.CDLL(None).system(b"echo ready; exec sleep 100 >&- 2>&-")
    try:
        say("ready")
        time.sleep(100)
    finally:
        say("closed")
"""

ENDING = """
import os, signal, sys
from pathlib import Path
from rlmpc.run.stopping import StopSignals, end_stopped_run

class LastWords:
    def __del__(self, kill=os.kill, pid=os.getpid(), signum=signal.SIGTERM):
        kill(pid, signum)

# A module's names go when Python has already taken its signal handlers away.
last = LastWords()
with StopSignals(60, print) as signals:
    signals.defer()
    signals.stopped_by = signal.SIGINT
end_stopped_run(signal.SIGINT, Path("none"), print, 0)
"""


@pytest.fixture
def start(warm) -> Callable[..., subprocess.Popen[str]]:
    """Starts a process that waits for signals in a body of `StopSignals`."""

    def start_waiting(timeout_s: float, phase: str, ears: str = "hears", **variables: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", WAITING, str(timeout_s), phase, ears]
        process = warm.start(command, cwd=ROOT, stdout=subprocess.PIPE, env=os.environ | variables)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    return start_waiting


def test_exit_codes_are_those_of_a_shell():
    assert [exit_code(signum) for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)] == [143, 130, 129]


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_after_another_signal_ends_at_once(start, first):
    process = start(90, "training")
    process.send_signal(first)
    assert process.stdout.readline() == (
        f"{first.name}: stopping after this iteration; press Ctrl-C again to stop at once\n"
    )
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=AT_ONCE_S) == 130
    assert "closed" not in process.stdout.read()


def test_sigterm_again_changes_nothing_and_the_process_ends_when_its_time_is_over(start):
    process = start(1, "training")
    sent = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline().startswith("SIGTERM: stopping after this iteration")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=AT_ONCE_S) == 143
    assert time.monotonic() - sent > 0.9
    assert process.stdout.read() == "still not finished 1 s after SIGTERM; stopped at once\n"


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_before_training_a_signal_closes_what_is_open(start, signum, code):
    process = start(90, "starting")
    process.send_signal(signum)
    assert process.wait(timeout=AT_ONCE_S) == code
    assert set(process.stdout.read().splitlines()) == {f"{signum.name}: stopping before training has begun", "closed"}


@pytest.mark.parametrize("phase", ["training", "starting"])
def test_a_process_whose_main_thread_hears_nothing_is_ended_all_the_same(start, phase):
    """Before training, it has less time: in training it may be saving what was learned."""
    process = start(1, phase, "deaf")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=AT_ONCE_S) == 143
    assert START_TIMEOUT_S < 10
    assert "still not finished 1 s after SIGTERM; stopped at once" in process.stdout.read()


def test_signals_that_tritons_compiler_took_are_taken_back_and_several_at_once_are_heard(tmp_path):
    """If Triton takes none, it leaves signals alone by now, and `StopSignals.take` in each iteration is of no use."""
    command = [sys.executable, str(ROOT / "tests/run/wait_after_compiling.py")]
    variables = os.environ | {"TRITON_CACHE_DIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=variables, text=True) as process:
        assert process.stdout is not None
        assert [process.stdout.readline().strip() for _ in range(3)] == ["Triton", "Python", "ready"]
        kill = ctypes.CDLL(None).kill
        # As launchers do; LLVM's handler, reset by the first, would end the process at one of the next.
        for _ in range(30):
            kill(process.pid, int(signal.SIGTERM))
        assert process.wait(timeout=AT_ONCE_S) == 0


JOB = {"SLURM_JOB_ID": "4711", "SLURM_JOB_NAME": "walk"}


def test_slurms_signal_before_training_waits_for_the_first_iteration(start):
    process = start(1, "starting", **JOB)
    process.send_signal(signal.SIGUSR1)
    assert process.stdout.readline() == "SIGUSR1: stopping after the first iteration\n"
    time.sleep(1.5)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=AT_ONCE_S) == 143


def test_slurms_signal_outside_of_slurm_is_ignored_with_a_line(warm):
    code = "import os, signal\nfrom rlmpc.run.command import run_command\n"
    code += "run_command(lambda _: os.kill(os.getpid(), signal.SIGUSR1))"
    done = warm.run([sys.executable, "-c", code], cwd=ROOT, timeout=60)
    assert (done.returncode, done.stderr.count("SIGUSR1 is ignored")) == (0, 1)


def test_ctrl_c_before_anything_is_open_is_no_traceback(warm):
    code = "import os, signal\nfrom rlmpc.run.command import run_command\n"
    code += "run_command(lambda _: os.kill(os.getpid(), signal.SIGINT))"
    done = warm.run([sys.executable, "-c", code], cwd=ROOT, timeout=60)
    assert (done.returncode, done.stderr) == (130, "-c: stopped by Ctrl-C\n")


def test_a_launcher_that_signals_a_process_that_is_all_but_gone_does_not_change_its_exit_code(warm):
    assert warm.run([sys.executable, "-c", ENDING], cwd=ROOT, timeout=60).returncode == 130


def test_a_run_without_a_checkpoint_says_so(tmp_path):
    assert how_to_go_on(tmp_path) == f"the run in '{tmp_path}' has no checkpoint yet"
