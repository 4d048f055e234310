"""Warm processes are processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow


def test_it_has_what_it_was_given_and_tells_what_it_ends_with(warm, tmp_path):
    code = (
        "import os, sys\nprint(os.getcwd(), sys.argv[1], os.environ['GIVEN'], 'PATH' in os.environ)\n"
        "print(input(), file=sys.stderr)\nsys.exit(7 if 'lightning' in sys.modules else 1)"
    )
    with warm.start(
        [sys.executable, "-c", code, "word"],
        **dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE),
        cwd=tmp_path,
        env={"GIVEN": "value"},
    ) as process:
        out, err = process.communicate("asked\n", timeout=60)
    assert (out, err) == (f"{tmp_path} word value False\n", "asked\n")
    assert process.returncode == 7


def test_a_script_is_main_and_its_error_is_shown(warm, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import os, sys\nprint(__name__, sys.path[0], os.getpid(), flush=True)\n1 / 0\n")
    process = warm.start([sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    out, _ = process.communicate(timeout=60)
    assert out.startswith(f"__main__ {tmp_path} {process.pid}\nTraceback")
    assert out.endswith("ZeroDivisionError: division by zero\n")
    assert process.returncode == 1


def test_it_is_a_child_that_signals_reach(warm):
    code = "import os, time; print(os.getppid(), flush=True); time.sleep(60)"
    process = warm.start([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout.readline() == f"{os.getpid()}\n"
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=60) == -signal.SIGKILL


def test_one_that_takes_too_long_is_ended(warm):
    with pytest.raises(subprocess.TimeoutExpired):
        warm.run([sys.executable, "-c", "import time; time.sleep(60)"], timeout=0.2)
