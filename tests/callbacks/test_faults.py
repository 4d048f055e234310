from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import torch

import train
from callbacks.checkpoint import IterationCheckpoint
from callbacks.faults import FaultDump, FaultLimits
from rlmpc.algorithms.ppo.learner import PpoLearner
from rlmpc.checkpoint.fault_file import read_fault
from rlmpc.command_line.train import compose_train
from rlmpc.envs.toy import ToyEnv, ToyEnvCfg
from rlmpc.errors import RunError
from rlmpc.rollout.collector import Collector
from rlmpc.rollout.datamodule import RolloutDataModule
from rlmpc.rollout.faults import FaultRecorder
from tests.same_run import curve

RUN = {
    "config": {
        **{"stage": "teacher", "task": {"name": "toy"}, "env": {}, "deterministic": False},
        "agent": {"algorithm": "ppo", "actor_group": "policy"},
    },
    "num_envs": 3,
    "device": "cpu",
    "seed": 7,
}
LIMITS = FaultLimits(max_env_share=0.1, max_skipped_updates=20, max_skipped_share=0.5)


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


def check(env_share: float, skipped: float, share: float = 0.5) -> None:
    numbers = {"fault/envs": env_share, "fault/skipped_in_a_row": skipped, "fault/skipped_share": share}
    LIMITS.on_report(None, SimpleNamespace(iteration=6, numbers=numbers))


@pytest.mark.parametrize(("env_share", "skipped"), [(0.0, 0.0), (0.1, 0.0), (0.0, 19.0), (0.1, 19.0)])
def test_up_to_its_limits_a_run_goes_on(env_share: float, skipped: float):
    check(env_share, skipped)


@pytest.mark.parametrize(
    ("env_share", "skipped", "share", "message"),
    [
        (
            0.5,
            0.0,
            0.0,
            r"^50\.0% of the environments .* faults\.max_env_share=0\.1 .* iteration 7, .* checkpoint is kept$",
        ),
        (
            0.0,
            20.0,
            0.0,
            r"^20 updates in a row .* faults\.max_skipped_updates=20 .* iteration 7, .* checkpoint is kept$",
        ),
        (
            0.0,
            3.0,
            0.6,
            r"^60\.0% of the last 100 updates .* faults\.max_skipped_share=0\.5 .* iteration 7, .* is kept$",
        ),
    ],
)
def test_beyond_a_limit_the_run_stops_and_says_why(env_share: float, skipped: float, share: float, message: str):
    with pytest.raises(RunError, match=message):
        check(env_share, skipped, share)


@pytest.mark.parametrize(
    ("spoilt", "message", "last"),
    [
        (lambda update: True, r"^40 updates in a row .* after iteration 3", 1),
        # 14 of 20 updates an iteration, never four in a row: 28, 42, 56 of the last 100.
        (lambda update: update % 10 not in (3, 6, 9), r"^56\.0% of the last 100 updates .* after iteration 5", 3),
    ],
)
def test_skipped_updates_stop_the_run_before_the_bad_iteration_is_saved(
    tmp_path: Path, spoilt, message: str, last: int
):
    """With twenty updates an iteration, spoilt from the second iteration on, and thirty in a row allowed."""
    cfg = replace(compose_train(["task=toy"])[0].agent, num_steps=4)
    env = ToyEnv(ToyEnvCfg(), 16, "cpu", 1)
    learner = PpoLearner.start(cfg, env, None, print)

    class SpoilLater(L.Callback):
        def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            if trainer.current_epoch == 1:
                updates = count()
                learner.policy.critic[0].weight.register_hook(
                    lambda gradient: gradient * torch.nan if spoilt(next(updates)) else gradient
                )

    trainer = L.Trainer(
        accelerator="cpu", devices=1, max_epochs=9, logger=False, enable_progress_bar=False,
        callbacks=[IterationCheckpoint(tmp_path, 1, None, {}), SpoilLater(), FaultLimits(0.1, 30, 0.5)],
        enable_model_summary=False, inference_mode=False,
    )  # fmt: skip
    with pytest.raises(RunError, match=message):
        trainer.fit(learner, datamodule=RolloutDataModule(env, Collector(env, cfg.num_steps, True)))
    assert {path.name for path in tmp_path.glob("epoch=*")} == {f"epoch={saved}.ckpt" for saved in range(last + 1)}
    assert all(parameter.isfinite().all() for parameter in learner.parameters())


@pytest.mark.parametrize(("num_broken", "code"), [(6, 0), (32, 1)])
def test_a_run_goes_on_with_a_few_broken_environments_and_ends_when_half_of_them_are(
    command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_broken: int, code: int
):
    class Breaking(ToyEnv):
        def __init__(self, *arguments) -> None:
            super().__init__(*arguments)
            # Where there is drag without end, standing is 0 x inf; it does not heal.
            self.drag[:num_broken] = float("inf")

    monkeypatch.setattr("rlmpc.envs.make.ToyEnv", Breaking)
    arguments = ["task=toy", "device=cpu", "num_envs=64", "agent.num_steps=8", "checkpoint.export=false"]
    ended, _, err = command(train.main, *arguments, "trainer.max_epochs=2", "run.dir=run")
    assert ended == code
    if code:
        assert "50.0% of the environments" in err and "faults.max_env_share=0.1" in err
        assert "the run in 'run' has no checkpoint yet" in err
        assert "Traceback" not in err
    else:
        assert curve(tmp_path / "run")[-1]["fault/envs"] == str(num_broken / 64)
