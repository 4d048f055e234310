from __future__ import annotations

from dataclasses import replace
from typing import Any

import lightning as L
import pytest
from torch import Tensor

from rlmpc.config.compose import compose_train
from rlmpc.envs.toy import ToyEnv, ToyEnvCfg
from rlmpc.envs.vec_env import VecEnv
from rlmpc.learners.make import make_learner
from rlmpc.learners.rma import RmaLearner
from rlmpc.learners.teacher import TeacherLearner
from rlmpc.rollout.collector import Collector
from rlmpc.rollout.datamodule import RolloutDataModule


class CountingDataModule(RolloutDataModule):
    """Notes the parameters' version at each rollout."""

    def __init__(self, env: ToyEnv, collector: Collector) -> None:
        super().__init__(env, collector)
        self.num_collected = 0
        self.updates_before: list[int] = []

    def collect(self) -> dict[str, Any]:
        self.num_collected += 1
        self.updates_before.append(self.trainer.global_step)
        return super().collect()


@pytest.fixture
def fit():
    """Trains a learner and returns its datamodule and the reports of all iterations."""
    return _fit


def _fit(learner: TeacherLearner, env: VecEnv, iterations: int):
    cfg = learner.cfg
    datamodule = CountingDataModule(env, Collector(env, cfg.num_steps, True))
    reports: list[dict[str, float]] = []

    class Record(L.Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            reports.append(dict(pl_module.report))

    trainer = L.Trainer(
        accelerator="cpu", devices=1, max_epochs=iterations, logger=False, callbacks=[Record()],
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, inference_mode=False,
    )  # fmt: skip
    trainer.fit(learner, datamodule=datamodule)
    return datamodule, reports


@pytest.fixture
def run_toy():
    """Trains on the toy environment and returns learner, datamodule and the reports of all iterations."""

    def run(iterations: int, seed: int = 1, num_envs: int = 64, agent: str = "ppo", **changes: Any):
        cfg = replace(compose_train(["task=toy", f"agent={agent}"]).agent, **changes)
        L.seed_everything(seed, verbose=False)
        env = ToyEnv(ToyEnvCfg(), num_envs, "cpu", seed)
        learner = make_learner(cfg, env.contract)
        return learner, *_fit(learner, env, iterations)

    return run


@pytest.fixture
def first_minibatches(monkeypatch) -> list[tuple[str, Tensor, Tensor]]:
    """Mode, importance ratios and KL of the first minibatch of every iteration of `rma` that is trained from now on."""
    seen: list[tuple[str, Tensor, Tensor]] = []
    original = RmaLearner.loss

    def loss(self: RmaLearner, minibatch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        value, numbers = original(self, minibatch)
        if self.current_epoch == len(seen):
            log_prob = self.replay(minibatch).log_prob(minibatch["action"]).sum(dim=-1)
            seen.append((self.policy.mode, (log_prob - minibatch["log_prob"]).exp().detach(), numbers[0]))
        return value, numbers

    monkeypatch.setattr(RmaLearner, "loss", loss)
    return seen
