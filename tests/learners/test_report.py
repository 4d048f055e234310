from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import lightning as L
import pytest
import torch

from callbacks.checkpoint import IterationCheckpoint
from rlmpc.algorithms.ppo.learner import PpoLearner
from rlmpc.command_line.train import compose_train
from rlmpc.envs.toy import ToyEnv, ToyEnvCfg
from rlmpc.learners.base import OnPolicyLearner
from rlmpc.learners.report import Report, ReportCallback
from rlmpc.rollout.collector import Collector
from rlmpc.rollout.datamodule import RolloutDataModule
from rlmpc.run.csv_log import CsvLog
from tests.same_run import curve

ITERATIONS, EVERY = 5, 2


class Notes(ReportCallback):
    """Notes at which point of which iteration the numbers of which one come."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, int]] = []
        self.point = ""

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.point = f"rollout {trainer.current_epoch}"

    def on_train_batch_end(self, trainer: L.Trainer, *_) -> None:
        self.point = f"end of {trainer.current_epoch}"

    def on_report(self, trainer: L.Trainer, report: Report) -> None:
        assert report.numbers["episode/reward_per_step"] != 0.0
        self.notes.append((self.point, report.iteration))


def fit(folder: Path) -> list[tuple[str, int]]:
    """Train a little; gives when the numbers came."""
    notes = Notes()
    cfg = replace(compose_train(["task=toy"])[0].agent, num_epochs=1, num_minibatches=1)
    env = ToyEnv(ToyEnvCfg(), 8, "cpu", 1)
    trainer = L.Trainer(
        accelerator="cpu", devices=1, max_epochs=ITERATIONS, logger=CsvLog(folder, 0), enable_progress_bar=False,
        callbacks=[notes, IterationCheckpoint(folder / "checkpoints", EVERY, None, {})], enable_model_summary=False,
    )  # fmt: skip
    learner = PpoLearner.start(cfg, env, None, print)
    trainer.fit(learner, RolloutDataModule(env, Collector(env, cfg.num_steps, stagger_episodes=True)))
    return notes.notes


def test_on_the_cpu_the_numbers_come_at_the_end_of_their_iteration(tmp_path):
    assert fit(tmp_path) == [(f"end of {i}", i) for i in range(ITERATIONS)]


def test_on_a_gpu_they_come_after_the_next_rollout_or_before_a_checkpoint_and_none_is_lost(monkeypatch, tmp_path):
    """Iterations 1 and 3 and the last one are saved."""
    monkeypatch.setattr(OnPolicyLearner, "on_train_epoch_end", lambda self: None)
    assert fit(tmp_path) == [("rollout 1", 0), ("end of 1", 1), ("rollout 3", 2), ("end of 3", 3), ("end of 4", 4)]
    assert [int(row["step"]) for row in curve(tmp_path)] == list(range(ITERATIONS))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="copies from a GPU")
def test_reading_waits_for_the_copy():
    values = torch.ones(2000, 2000, device="cuda")
    for _ in range(50):
        values = values @ values / 2000.0
    report = Report(3, values[:2, :1] + 1.0, lambda v: ({"a": float(v[0])}, {"a": float(v[1])}))
    assert (report.numbers, report.weights) == ({"a": 2.0}, {"a": 2.0})
