"""Processes that start warm: forked from one that has already imported what takes commands 10 seconds to import.

`WarmServer.start` takes what `subprocess.Popen` takes and gives one. Its process is a real one: with a process id,
signals, standard streams, environment, arguments, working folder and an end of its own, and it is a child of the one
that asked. Only what Python reads from the environment when it starts, or a library when it is imported, is not read
again.

Run as a script, this file is the process that is forked. It starts no thread and touches no GPU: what imports a library
that does, such as onnxruntime or newton, is imported by each process itself.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PR_SET_CHILD_SUBREAPER = 36
"""Option of Linux' prctl (linux/prctl.h): orphans among this process's descendants become its children."""
LARGEST_REQUEST = 1 << 20
LAUNCHER = "lightning.pytorch.strategies.launchers.subprocess_script"
"""What starts further processes for `trainer.devices`."""


IMPORTED = ("lightning.pytorch", "torch.utils.tensorboard", "omegaconf", "gymnasium", "onnxscript", "rich.console")
"""What warm processes have imported."""


class WarmServer:
    """Starts warm processes."""

    def __init__(self) -> None:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, __file__, str(theirs.fileno())]
        fds = [theirs.fileno()]
        self._process = subprocess.Popen(command, env=environment, pass_fds=fds, start_new_session=True)
        theirs.close()

    def start(self, command: list[str], *, spare: bool = False, **options: Any) -> subprocess.Popen[str]:
        """As `subprocess.Popen(command, text=True, **options)`; the command is this Python with a script or `-c` code.

        Args:
            command: what to run.
            spare: whether the second process that Lightning starts for `trainer.devices=2` is warm too.
            options: of `subprocess.Popen`.
        """
        return _WarmProcess(self._channel, spare, command, text=True, **options)

    def run(self, command: list[str], *, timeout: float, **options: Any) -> subprocess.CompletedProcess[str]:
        """As `subprocess.run(command, capture_output=True, text=True, timeout=timeout, **options)`."""
        with self.start(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def start_ranks(
        self, command: list[str], folder: Path, per_machine: int = 2, **variables: str
    ) -> list[subprocess.Popen[str]]:
        """Two ranks of a script as torchrun starts them, on one machine or two; `rank<i>.txt` takes what they print."""
        port = reserved_port()
        ranks = []
        for rank in (0, 1):
            launched = torchrun_variables(rank, per_machine, port)
            with (folder / f"rank{rank}.txt").open("w") as output:
                pipes = {"stdout": output, "stderr": subprocess.STDOUT}
                ranks.append(self.start(command, cwd=folder, env=os.environ | launched | variables, **pipes))
        return ranks

    def close(self) -> None:
        """End the process that is forked."""
        self._channel.close()
        self._process.wait(timeout=60)


_reserved: list[socket.socket] = []


def reserved_port() -> int:
    """A port that nobody else is given as long as this process lives; a server that is told its number may open it."""
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", 0))
    _reserved.append(reserved)
    return reserved.getsockname()[1]


def torchrun_variables(rank: int, per_machine: int, port: int) -> dict[str, str]:
    """What torchrun puts into the environment of one of two ranks."""
    machine, local_rank = divmod(rank, per_machine)
    numbers = {"RANK": rank, "LOCAL_RANK": local_rank, "GROUP_RANK": machine, "MASTER_PORT": port}
    sizes = {"WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": per_machine}
    names = {"MASTER_ADDR": "127.0.0.1", "TORCHELASTIC_RUN_ID": "none"}
    return {name: str(value) for name, value in (numbers | sizes | names).items()}


class _WarmProcess(subprocess.Popen):
    """A process that a server has forked."""

    def __init__(self, channel: socket.socket, spare: bool, *arguments: Any, **options: Any) -> None:
        self._channel, self._spare = channel, spare
        super().__init__(*arguments, **options)

    def _execute_child(self, args: Any, *given: Any) -> None:
        cwd, env, pipes = given[4], given[5], given[9:15]
        streams = [fd if fd != -1 else standard for standard, fd in enumerate((pipes[0], pipes[3], pipes[5]))]
        environment = dict(os.environ if env is None else env)
        request = {"command": [*map(str, args)], "cwd": str(cwd or Path.cwd()), "env": environment}
        socket.send_fds(self._channel, [json.dumps(request | {"spare": self._spare}).encode()], streams)
        self.pid = int(self._channel.recv(LARGEST_REQUEST))
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]


def next_request(channel: socket.socket) -> dict[str, Any] | None:
    """Fork a process for every request and return it there; return None in this process once nobody asks any more."""
    while True:
        message, streams, _, _ = socket.recv_fds(channel, LARGEST_REQUEST, 3)
        if not message:
            return None
        read, write = os.pipe()
        between = os.fork()
        if between == 0:
            # An orphan goes to the process that asked.
            parent, child = os.getpid(), os.fork()
            if child != 0:
                os.write(write, str(child).encode())
                os._exit(0)
            while os.getppid() == parent:
                time.sleep(0.001)
            for fd in (channel.detach(), read, write):
                os.close(fd)
            for standard, fd in enumerate(streams):
                os.dup2(fd, standard)
                os.close(fd)
            return json.loads(message)
        os.waitpid(between, 0)
        channel.send(os.read(read, 64))
        for fd in (read, write, *streams):
            os.close(fd)


def keep_spare(command: list[str]) -> dict[str, str] | None:
    """Fork the process that Lightning will start second.

    Returns:
        In the spare process, its environment, as soon as Lightning starts it; in this one, None.
    """
    read, write = os.pipe()
    spare = os.fork()
    if spare == 0:
        os.close(write)
        with os.fdopen(read) as pipe:
            environment = pipe.read()
        if not environment:
            os._exit(0)
        return json.loads(environment)
    os.close(read)

    class SpareProcess(subprocess.Popen):
        def _execute_child(self, args: list[str], *given: Any) -> None:
            assert args[1:] == command[1:]
            with os.fdopen(write, "w") as pipe:
                json.dump(given[5], pipe)
            self.pid, self._child_created = spare, True

    importlib.import_module(LAUNCHER).subprocess = SimpleNamespace(Popen=SpareProcess)  # type: ignore[attr-defined]
    return None


def code_of(request: dict[str, Any]) -> Any:
    """Make this process what was asked for; the code that it is to run."""
    _, *command = request["command"]
    if command[0] == "-u":
        command.pop(0)
        sys.stdout.reconfigure(write_through=True)  # type: ignore[union-attr]
    os.chdir(request["cwd"])
    environment = request["env"]
    if request["spare"]:
        environment = keep_spare(request["command"]) or environment
    os.environ.clear()
    os.environ.update(environment)
    if command[0] == "-c":
        sys.path[0], sys.argv = "", ["-c", *command[2:]]
        return compile(command[1], "<string>", "exec")
    script = Path(command[0]).resolve()
    sys.path[0], sys.argv = str(script.parent), command
    return compile(script.read_text(), str(script), "exec")


def serve() -> Any:
    """Import, and wait for requests; the code to run in a forked process, None at the end."""
    for module in IMPORTED:
        importlib.import_module(module)
    # As a shell starts processes in the foreground, even if pytest was started by nohup, or in the background.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    assert len([*Path("/proc/self/task").iterdir()]) == 1, "a process with threads cannot be forked"
    gc.collect()
    gc.freeze()
    request = next_request(socket.socket(fileno=int(sys.argv[1])))
    return None if request is None else code_of(request)


if __name__ == "__main__":
    code = serve()
    if code is not None:
        # Here, so that it ends as any other script: its names are those of `__main__`.
        __file__ = sys.argv[0]
        exec(code)
