"""Variables of launchers: what makes no sense is refused, and real syntax is understood."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import play
import train
from rlmpc.errors import UserError
from rlmpc.run.launcher_variables import RANGES, is_started_by_srun, srun_hint, tasks_per_machine
from rlmpc.run.processes import check_place, slurm_job, with_layout

TORCHRUN = {"LOCAL_WORLD_SIZE": "2", "WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "1", "TORCHELASTIC_RUN_ID": "none"}
SBATCH = {
    **{"SLURM_JOB_ID": "4711", "SLURM_JOB_NAME": "walk", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2"},
    **{"SLURM_NNODES": "1"},
}
SRUN = SBATCH | {"SLURM_STEP_ID": "0", "SLURM_PROCID": "1", "SLURM_LOCALID": "1", "SLURM_NODEID": "0"}


@pytest.fixture
def launched(monkeypatch) -> Callable[[dict[str, str | None]], None]:
    """Puts into the environment what a launcher would; None takes a variable away."""

    def put(variables: dict[str, str | None]) -> None:
        for name, value in variables.items():
            monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)

    return put


@pytest.mark.parametrize("value", ["abc", "-1", "", "1.5", "0x1", "1_0", " 1", "\u0663", "99999999999"])
@pytest.mark.parametrize("name", RANGES)
def test_a_number_that_is_none_is_refused_by_name(command, launched, name, value):
    launched({name: value})
    code, _, err = command(train.main, "task=toy")
    assert code == 2
    assert err.startswith(f"train.py: the environment variable {name} is '{value}'; accepted: a whole number ")
    assert err.count("\n") == 1
    assert not [*Path().iterdir()]


def test_play_refuses_them_as_well(command, launched):
    launched({"RANK": "abc"})
    code, _, err = command(play.main, "task=toy", "policy=zero")
    assert (code, "variable RANK is 'abc'" in err) == (2, True)


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        (
            TORCHRUN | {"RANK": "5", "WORLD_SIZE": "2"},
            "RANK is '5'; accepted: a whole number from 0 to 1, since WORLD_SIZE=2",
        ),
        (TORCHRUN | {"LOCAL_RANK": "2"}, "LOCAL_RANK is '2'; accepted: a whole number from 0 to 1"),
        (TORCHRUN | {"LOCAL_WORLD_SIZE": "0"}, "LOCAL_WORLD_SIZE is '0'; accepted: a whole number of at least 1"),
        (TORCHRUN | {"MASTER_PORT": "70000"}, "MASTER_PORT is '70000'; accepted: a whole number from 0 to 65535"),
        (TORCHRUN | {"MASTER_ADDR": " "}, "MASTER_ADDR is empty"),
        (TORCHRUN | {"RANK": None}, "torchrun started this process, but the environment variable RANK is missing"),
        (TORCHRUN | {"LOCAL_WORLD_SIZE": None}, "the environment variable LOCAL_WORLD_SIZE is missing"),
        (
            SRUN | {"SLURM_PROCID": None},
            "SLURM started this process, but the environment variable SLURM_PROCID is missing",
        ),
        (SRUN | {"SLURM_LOCALID": None}, "the environment variable SLURM_LOCALID is missing"),
        (SRUN | {"SLURM_LOCALID": "2"}, "SLURM_LOCALID is '2', but SLURM_NTASKS_PER_NODE is '2'"),
        (SRUN | {"SLURM_NODEID": "1"}, "SLURM_NODEID is '1'; accepted: a whole number from 0 to 0"),
        (SRUN | {"SLURM_NTASKS_PER_NODE": None}, "SLURM started 2 tasks; say with --ntasks-per-node"),
        (
            SRUN | {"SLURM_NTASKS_PER_NODE": "two"},
            "SLURM_NTASKS_PER_NODE is 'two'; accepted: a number such as 4 or 4(x2)",
        ),
        (SRUN | {"SLURM_NTASKS_PER_NODE": "0"}, "SLURM_NTASKS_PER_NODE is '0'"),
        (SRUN | {"SLURM_NTASKS_PER_NODE": "2(x3),1"}, "different numbers of tasks on the machines (2(x3),1)"),
        (SBATCH, "SLURM gave this job 2 tasks, but srun did not start this command"),
        (SBATCH | {"SLURM_PROCID": "0", "SLURM_LOCALID": "0"}, "put srun before it: srun python train.py"),
        (SBATCH | {"SLURM_STEP_ID": "4294967291"}, "put srun before it: srun python train.py"),
    ],
)
def test_what_contradicts_or_lacks_is_refused_before_lightning_is_imported(
    command, launched, monkeypatch, variables, sentence
):
    monkeypatch.setitem(sys.modules, "lightning.fabric.plugins.environments.slurm", None)
    launched(variables)
    code, _, err = command(train.main, "task=toy")
    assert (code, sentence in err, err.count("\n")) == (2, True, 1), err
    assert not [*Path().iterdir()]


@pytest.mark.parametrize(
    ("text", "tasks", "number"),
    [("2", "2", 2), ("2(x3)", "6", 2), ("2,2", "4", 2), ("2,2(x3)", "8", 2), ("2", "1", 1), (None, "1", 1)],
)
def test_slurms_way_to_write_tasks_is_understood(launched, text, tasks, number):
    launched({"SLURM_NTASKS": tasks, "SLURM_NTASKS_PER_NODE": text, "SLURM_LOCALID": "0"})
    assert tasks_per_machine() == number


def test_tasks_on_several_machines_are_counted_and_lightning_reads_the_same(launched):
    launched(SRUN | {"SLURM_NTASKS": "6", "SLURM_NTASKS_PER_NODE": "2(x3)", "SLURM_NNODES": "3"})
    assert with_layout({}) == {"trainer.devices": 2, "trainer.num_nodes": 3}
    from rlmpc.run.processes import launcher

    found = launcher()
    assert found is not None
    found.environment.validate_settings(num_devices=2, num_nodes=3)


@pytest.mark.parametrize(
    "variables",
    [
        {"SLURM_NTASKS": "1"},
        {"SLURM_JOB_ID": "7"},
        SBATCH | {"SLURM_NTASKS": "1", "SLURM_NTASKS_PER_NODE": "1"},
        SBATCH | {"SLURM_NTASKS": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_STEP_ID": "4294967291"},
        SBATCH | {"SLURM_JOB_NAME": "interactive"},
        SBATCH | {"SLURM_JOB_NAME": "bash", "SLURM_STEP_ID": "0", "SLURM_PROCID": "0"},
        SRUN | {"SLURM_NTASKS": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"},
        {"SLURM_NTASKS": "1", "SLURM_STEP_ID": "0", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"},
    ],
)
def test_one_task_is_one_process_with_or_without_srun(command, launched, variables):
    launched(variables)
    arguments = ["task=toy", "device=cpu", "num_envs=16", "agent.num_steps=4", "logger=[]", "checkpoint.export=false"]
    code, _, err = command(train.main, *arguments, "trainer.max_epochs=1")
    assert (code, err) == (0, "")
    (folder,) = Path("logs/toy/teacher").iterdir()
    assert (folder.name == f"job_{slurm_job()}") == (slurm_job() is not None)


def test_a_shell_in_a_job_is_not_started_by_srun(launched):
    launched(SRUN)
    assert is_started_by_srun()
    launched({"SLURM_STEP_ID": "4294967290", "SLURM_PROCID": "0"})
    assert not is_started_by_srun()


def test_lightnings_hint_is_shown_where_srun_is_at_hand(launched, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert srun_hint() is None
    (tmp_path / "srun").touch(mode=0o755)
    assert "srun python train.py" in (srun_hint() or "")
    launched(SRUN)
    assert srun_hint() is None


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"LOCAL_RANK": "2"}, "LOCAL_RANK is '2', but trainer.devices=2; accepted: a whole number from 0 to 1"),
        ({"NODE_RANK": "3"}, "NODE_RANK is '3', but trainer.num_nodes=3; accepted: a whole number from 0 to 2"),
    ],
)
def test_a_process_beyond_the_number_of_processes_is_refused(launched, variables, sentence):
    launched(variables)
    with pytest.raises(UserError, match=re.escape(sentence)):
        check_place(devices=2, num_nodes=3)
