from types import SimpleNamespace
from typing import Any

import pytest
import torch

from callbacks.faults import FaultDump
from rlmpc.checkpoint.fault_file import read_fault
from rlmpc.errors import RunError
from rlmpc.rollout.faults import FaultRecorder

RUN = {
    "config": {
        **{"stage": "teacher", "task": {"name": "toy"}, "env": {}, "deterministic": False},
        "agent": {"algorithm": "ppo", "actor_group": "policy"},
    },
    "num_envs": 3,
    "device": "cpu",
    "seed": 7,
}


@pytest.fixture
def recorder() -> FaultRecorder:
    """A rollout of two steps in three environments, the last of which was faulty in the second step."""
    recorder = FaultRecorder()
    recorder.begin(SimpleNamespace(state=lambda: {"level": torch.zeros(3)}), torch.ones(3, dtype=torch.bool))
    for _ in range(2):
        recorder.add(torch.zeros(3, 2))
    recorder.finish(torch.tensor([[True] * 3, [True, True, False]]), {"policy": torch.arange(6.0).view(2, 3, 1)})
    return recorder


def end_iteration(dump: FaultDump, iteration: int = 1, share: float = 0.1, rank: int = 0, world_size: int = 1) -> None:
    trainer: Any = SimpleNamespace(current_epoch=iteration - 1, global_rank=rank, world_size=world_size)
    dump.on_train_batch_end(trainer, SimpleNamespace(numbers={"fault/samples": share}), None, None, 0)


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.glob("*"))


def test_an_iteration_with_a_fault_leaves_a_file_that_tells_all_of_it(recorder, tmp_path):
    end_iteration(FaultDump(recorder, tmp_path / "faults", 5, RUN), iteration=12)
    fault = read_fault(tmp_path / "faults" / "iteration=12.pt")
    assert (fault.iteration, fault.num_envs, fault.device, fault.seed) == (12, 3, "cpu", 7)
    assert fault.config == RUN["config"]
    assert (~fault.valid).nonzero().tolist() == [[1, 2]]
    assert fault.shown.tolist() == [2]
    assert fault.obs["policy"].flatten().tolist() == [2.0, 5.0]
    assert fault.actions.shape == (2, 3, 2)
    assert len(fault.random) == 2


def test_without_a_fault_nothing_is_written(recorder, tmp_path):
    end_iteration(FaultDump(recorder, tmp_path, 5, RUN), share=0.0)
    assert names(tmp_path) == []


def test_a_process_whose_environments_are_whole_leaves_the_file_to_the_others(recorder, tmp_path):
    end_iteration(FaultDump(recorder, tmp_path, 5, RUN), rank=1, world_size=2)
    recorder.finish(torch.ones(2, 3, dtype=torch.bool), {})
    end_iteration(FaultDump(recorder, tmp_path, 5, RUN), rank=0, world_size=2)
    assert names(tmp_path) == ["iteration=1,rank=1.pt"]


def test_there_are_no_more_files_than_asked_for_also_after_a_resume(recorder, tmp_path):
    for iteration in (1, 2, 3):
        end_iteration(FaultDump(recorder, tmp_path, 2, RUN), iteration)
    assert names(tmp_path) == ["iteration=1.pt", "iteration=2.pt"]


def test_one_process_does_not_use_up_the_files_of_another(recorder, tmp_path):
    for iteration in (1, 2, 3):
        end_iteration(FaultDump(recorder, tmp_path, 2, RUN), iteration, rank=0, world_size=2)
    end_iteration(FaultDump(recorder, tmp_path, 2, RUN), 4, rank=1, world_size=2)
    end_iteration(FaultDump(recorder, tmp_path, 2, RUN), 5)
    assert names(tmp_path) == [
        *("iteration=1,rank=0.pt", "iteration=2,rank=0.pt", "iteration=4,rank=1.pt", "iteration=5.pt")
    ]


def test_a_full_disk_costs_the_file_and_not_the_run(recorder, tmp_path, monkeypatch, caplog):
    def full(path, data):
        raise RunError("No space left on device")

    monkeypatch.setattr("callbacks.faults.write_whole", full)
    end_iteration(FaultDump(recorder, tmp_path, 5, RUN))
    assert "the fault of iteration 1 cannot be replayed: No space left on device" in caplog.text
