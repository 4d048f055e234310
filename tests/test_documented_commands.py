"""Commands in the documentation: their settings exist and fit. That each runs is tested beside what it runs."""

from __future__ import annotations

import re
import shlex
from functools import partial
from pathlib import Path

import pytest

import train
from benchmarks import distill_update, harness, learning, mpc_cupiqp, mpc_mujoco, mpc_newton, mpc_solver, throughput
from rlmpc.command_line.play import compose_play
from rlmpc.command_line.train import compose_train
from rlmpc.sweep.checks import composed_runs
from rlmpc.sweep.settings import read_sweep
from rlmpc.sweep.space import read_space

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
COMMAND = re.compile(r"python (train\.py|play\.py|benchmarks/\w+\.py)((?: +[\w.]+=(?:\[[^\]]*\]|[^\s`\]]+))*)")
ORIGINS = {"student_ckpt": "student", "resume": "run", "ckpt": "teacher", "teacher_ckpt": "teacher",
           "init_ckpt": "teacher", "config": "config"}  # fmt: skip
"""What is put in for a path in the documentation."""
READERS = {
    "play.py": compose_play,
    "benchmarks/distill_update.py": partial(harness.settings, distill_update.BenchmarkCfg),
    "benchmarks/learning.py": learning.read,
    "benchmarks/mpc_cupiqp.py": partial(harness.settings, mpc_cupiqp.Arguments),
    "benchmarks/mpc_newton.py": partial(harness.settings_among, mpc_newton.Arguments),
    "benchmarks/mpc_solver.py": partial(harness.settings_among, mpc_solver.Arguments),
    "benchmarks/mpc_mujoco.py": partial(harness.settings, mpc_mujoco.Config),
    "benchmarks/throughput.py": throughput.read,
}
"""What reads the arguments of a script; those of all others are settings of a training run."""


def documented() -> list[tuple[str, str]]:
    """Script and arguments of every command."""
    texts = [path.read_text() for path in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")))]
    return sorted({(script, arguments.strip()) for text in texts for script, arguments in COMMAND.findall(text)})


@pytest.fixture(scope="module")
def paths(tmp_path_factory) -> dict[str, Path]:
    """A teacher, its run's folder and config, its student, and a policy that adapts."""
    folder = tmp_path_factory.mktemp("documented")
    small = ["device=cpu", "num_envs=8", "agent.num_steps=8", "trainer.max_epochs=1", "logger=[]"]
    train.main(["task=toy", *small, f"run.dir={folder / 'teacher'}"])
    teacher = folder / "teacher/checkpoints/last.ckpt"
    distill = ["stage=distill", f"teacher_ckpt={teacher}", "agent.teacher_check_steps=0", "checkpoint.export=false"]
    train.main([*distill, *small, f"run.dir={folder / 'student'}"])
    return {
        "teacher": teacher, "run": folder / "teacher", "student": folder / "student/checkpoints/last.ckpt",
        "config": folder / "teacher/config.yaml", "adapting": ROOT / "pretrained/phase_1_scan_rl",
    }  # fmt: skip


def test_documented_commands_are_found():
    assert len(documented()) > 30
    assert ("play.py", "ckpt=PATH video=true command=[0.5,0,0]") in documented()


@pytest.mark.parametrize(("script", "arguments"), documented())
def test_a_documented_command_has_settings_that_exist(paths, monkeypatch, script, arguments):
    given = []
    for argument in shlex.split(arguments):
        key, value = argument.split("=", 1)
        # The documentation shows how to add tasks, robots and algorithms of these names.
        named = {"gravel": "task=toy", "small_actions": "agent=ppo"}.get(value, argument)
        if key == "agent.action_coef" or value == "biped":
            continue
        is_adapting = key == "init_ckpt" and "task=phase_1_scan_rl" in arguments
        origin = "adapting" if is_adapting else ORIGINS.get(key)
        given.append(named if origin is None else f"{key}={paths[origin]}")
    if given == ["list=true"] or (given[:1] == [arguments] and arguments.startswith("replay=")):
        # Composed of nothing, and of a file that only a run with a fault leaves (`tests/test_replay.py`).
        return
    if script in READERS:
        READERS[script](given)
    elif given[:1] == [arguments] and arguments.startswith("sweep="):
        cfg = read_sweep(ROOT / arguments.removeprefix("sweep="))
        composed_runs(cfg, read_space(cfg.space))
    else:
        is_resumed = any(argument.startswith("resume=") for argument in given)
        compose_train([*given, "trainer.max_epochs=3000"] if is_resumed and len(given) == 1 else given)
