from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import lightning as L
import pytest

from rlmpc.config.schema import AgentCfg
from rlmpc.envs.toy import ToyEnv, ToyEnvCfg
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
def run_toy(toy_agent: AgentCfg, tmp_path):
    """Trains on the toy environment and returns learner, datamodule and the reports of all iterations."""

    def run(iterations: int, seed: int = 1, num_envs: int = 64, **changes: Any):
        agent = replace(toy_agent, **changes)
        L.seed_everything(seed, verbose=False)
        env = ToyEnv(ToyEnvCfg(), num_envs, "cpu", seed)
        learner = TeacherLearner(asdict(agent), env.obs_schema.dims(), env.num_actions)
        datamodule = CountingDataModule(env, Collector(env, agent.num_steps, agent.gamma, agent.lam, True))
        reports: list[dict[str, float]] = []

        class Record(L.Callback):
            def on_train_epoch_end(self, trainer, pl_module):
                reports.append(dict(pl_module.report))

        trainer = L.Trainer(
            accelerator="cpu", devices=1, max_epochs=iterations, logger=False, callbacks=[Record()],
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, inference_mode=False,
        )  # fmt: skip
        trainer.fit(learner, datamodule=datamodule)
        return learner, datamodule, reports

    return run
