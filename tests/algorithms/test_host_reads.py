"""An update never waits for the device: its numbers are read together, once an iteration."""

from __future__ import annotations

from typing import Any

import pytest
from torch.utils._python_dispatch import TorchDispatchMode

from rlmpc.learners.metrics import IterationMeans

READS = {"aten._local_scalar_dense.default", "aten.nonzero.default", "aten.equal.default", "aten.is_nonzero.default"}


class Operations(TorchDispatchMode):
    """Notes the names of torch's operations."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.fixture
def transfers(monkeypatch) -> list[IterationMeans]:
    """Those that brought their numbers to the host."""
    made: list[IterationMeans] = []
    to_host = IterationMeans.to_host
    monkeypatch.setattr(IterationMeans, "to_host", lambda self: made.append(self) or to_host(self))
    return made


def assert_reads_once(learner: Any, datamodule: Any, transfers: list[IterationMeans]) -> None:
    rollout = datamodule.collect()
    transfers.clear()
    with Operations() as operations:
        learner.training_step(rollout, 0)
    assert len(operations.names) > 500
    assert READS & set(operations.names) == set()
    assert len(transfers) == 1


@pytest.mark.parametrize("agent", ["ppo", "rma"])
def test_an_update_reads_its_numbers_once(run_toy, transfers, agent: str):
    learner, datamodule, _ = run_toy(1, num_envs=16, agent=agent)
    if agent == "rma":
        learner.policy.on_robot()
    assert_reads_once(learner, datamodule, transfers)


@pytest.mark.parametrize("memory", ["none", "gru"])
def test_an_update_of_a_student_reads_its_numbers_once(run_student, transfers, memory: str):
    learner, datamodule, _ = run_student(1, memory=memory, loss="kl")
    assert_reads_once(learner, datamodule, transfers)


def test_an_update_that_fine_tunes_reads_its_numbers_once(make_finetune, fit, toy_world, transfers):
    _, learner = make_finetune("gru", critic_warmup=0)
    assert_reads_once(learner, fit(learner, toy_world(), 1)[0], transfers)
