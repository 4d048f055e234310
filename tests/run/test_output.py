"""What a command says outlasts its terminal, is kept in a file, and is shown as it is."""

from __future__ import annotations

import io
import os
import pty
import signal
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from rich.table import Table

import train
from rlmpc.checkpoint.find import checkpoints_by_age
from rlmpc.run.output import LOG, PlainConsole, keep_output, lasting_output

ROOT = Path(__file__).resolve().parents[2]
TOY = [
    "task=toy",
    "device=cpu",
    "num_envs=16",
    "agent.num_steps=4",
    "logger=[]",
    "run.dir=run",
    "checkpoint.export=false",
]

TALKING = """
import ctypes, os, sys
from pathlib import Path
from rlmpc.run.command import run_command
from rlmpc.run.output import PlainConsole

def main(arguments):
    console = PlainConsole()
    for line in range(2000):
        console.print(f"line {line} \\N{GREEK SMALL LETTER PI} \\udcff")
        print(f"error {line}", file=sys.stderr)
    ctypes.CDLL(None).puts(b"from C")
    ctypes.CDLL(None).fflush(None)
    descriptors = [os.readlink(f"/proc/self/fd/{number}") for number in (1, 2)]
    Path(arguments[0]).write_text("\\n".join(descriptors))
    sys.exit(int(arguments[1]))

run_command(main)
"""


def talk(redirected: str, tmp_path: Path, code: int = 0, **environment: str) -> tuple[int, str]:
    """Exit code of a command that talks a lot, and what a shell shows of it; it has to reach its end."""
    (tmp_path / "talk.py").write_text(TALKING)
    command = f"set -o pipefail; {sys.executable} talk.py end.txt {code} {redirected}"
    shown = subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (tmp_path / "end.txt").exists(), shown.stderr
    return shown.returncode, shown.stdout + shown.stderr


@pytest.mark.parametrize(
    "redirected", ["| head -1", "2>&1 | head -1", ">&-", "2>&-", ">&- 2>&-", "> /dev/full", "> /dev/full 2>&1"]
)
def test_a_command_reaches_its_end_and_exits_with_its_code_wherever_its_output_goes(redirected, tmp_path):
    returncode, shown = talk(redirected, tmp_path, code=3)
    assert returncode == 3
    assert "Traceback" not in shown
    assert "Exception ignored" not in shown
    assert "Error" not in shown


def test_what_was_closed_is_no_file_that_the_command_opens_later(tmp_path):
    talk(">&- 2>&-", tmp_path)
    assert (tmp_path / "end.txt").read_text().splitlines() == ["/dev/null", "/dev/null"]


def test_text_that_the_terminals_encoding_lacks_is_printed_escaped(tmp_path):
    assert "line 0 \\u03c0 \\udcff\n" in talk("2> /dev/null", tmp_path, PYTHONIOENCODING="ascii")[1]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[/x] [bold]a[/bold] [link=b]", "[/x] [bold]a[/bold] [link=b]"),
        (":smile: 'a' 17 http://b", ":smile: 'a' 17 http://b"),
        ("a\x1b[2Jb\x07c\rd\x08e\x9bf", "a\\x1b[2Jb\\x07c\\rd\\x08e\\x9bf"),
        ("txt.\u202eexe", "txt.\\u202eexe"),
        ("tab\tand \N{GREEK SMALL LETTER PI}", "tab\tand \N{GREEK SMALL LETTER PI}"),
    ],
)
def test_nothing_in_text_is_interpreted(capsys, text, shown):
    console = PlainConsole()
    console.print(text)
    table = Table(title=text.expandtabs())
    table.add_column(text.expandtabs())
    table.add_row(text.expandtabs())
    console.width = 200
    console.print(table)
    printed = capsys.readouterr().out
    line, *rows = printed.split("\n")
    assert line.expandtabs() == shown.expandtabs()
    assert sum(shown.expandtabs() in row for row in rows) == 3
    assert "\x1b" not in printed


def test_errors_are_shown_as_text_as_well(command):
    code, _, err = command(train.main, "task=a\x1b[31m[/x]")
    assert code == 2
    assert "'a\\x1b[31m[/x]'" in err


def test_what_a_simulator_prints_while_stdout_is_redirected_is_no_line_of_ours(capsys):
    console, elsewhere = PlainConsole(), io.StringIO()
    with redirect_stdout(elsewhere):
        console.print("ours")
    assert (capsys.readouterr().out, elsewhere.getvalue()) == ("ours\n", "")


def test_a_full_disk_loses_lines_of_the_log_and_nothing_else(tmp_path, capsys):
    (tmp_path / LOG).symlink_to("/dev/full")
    with lasting_output():
        keep_output(tmp_path)
        print("one")
        print("two")
    out, err = capsys.readouterr()
    assert out == "one\ntwo\n"
    assert err.count("lacks lines from here on: No space left on device") == 1


def test_a_run_keeps_what_it_says_and_its_error(command, tmp_path, monkeypatch):
    arguments = [*TOY, "trainer.max_epochs=3", "checkpoint.every=1", "console.every=1"]
    _, out, _ = command(train.main, *arguments)
    assert (tmp_path / "run" / LOG).read_text() == out
    monkeypatch.setattr("callbacks.console.ConsoleTable.on_report", lambda *_: 1 / 0)
    code, _, err = command(train.main, "resume=run", "trainer.max_epochs=4")
    (log,) = (tmp_path / "run/resumed").glob(f"*/{LOG}")
    assert code == 1
    assert log.read_text().endswith(err)
    assert "ZeroDivisionError" in err


@pytest.mark.slow
def test_training_reaches_its_end_when_nobody_reads_any_more(warm, tmp_path):
    read, write = os.pipe()
    command = [sys.executable, str(ROOT / "train.py"), *TOY, "trainer.max_epochs=5", "console.every=1"]
    with warm.start(command, cwd=tmp_path, stdout=write, stderr=write) as process:
        os.close(write)
        os.close(read)
        assert process.wait(timeout=120) == 0
    assert [path.name for path in checkpoints_by_age(tmp_path / "run/checkpoints")] == ["epoch=4.ckpt"]
    assert "5/5" in (tmp_path / "run" / LOG).read_text()


@pytest.mark.slow
@pytest.mark.parametrize("launched_by", ["terminal", "nohup"])
def test_a_terminal_that_is_closed_stops_a_run_as_sigterm_does_unless_nohup_started_it(warm, tmp_path, launched_by):
    master, slave = pty.openpty()
    ignoring = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); " if launched_by == "nohup" else ""
    last = 30 if launched_by == "nohup" else 100_000
    arguments = [*TOY, f"trainer.max_epochs={last}", "console.every=1"]
    code = (
        f"{ignoring}import sys, train; sys.argv = ['train.py', *{arguments}]; from rlmpc.run.command import run_command"
    )
    command = [sys.executable, "-c", f"{code}; run_command(train.main)"]
    with warm.start(command, cwd=tmp_path, stdin=slave, stdout=slave, stderr=slave) as process:
        os.close(slave)
        with os.fdopen(master, "rb", buffering=0) as terminal:
            while b" 20/" not in terminal.readline():
                pass
        process.send_signal(signal.SIGHUP)
        assert process.wait(timeout=120) == (0 if launched_by == "nohup" else 129)
    assert checkpoints_by_age(tmp_path / "run/checkpoints")
    log = (tmp_path / "run" / LOG).read_text()
    assert ("stopped by SIGHUP" in log) == (launched_by == "terminal")
    assert (f"{last}/{last}" in log) == (launched_by == "nohup")
