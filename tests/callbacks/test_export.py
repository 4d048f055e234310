"""Exports next to the checkpoints."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import lightning as L
import pytest
import torch

from callbacks.export import ExportPolicy
from rlmpc.algorithms.ppo.learner import PpoLearner
from rlmpc.command_line.train import compose_train
from rlmpc.envs.toy import ToyEnv, ToyEnvCfg
from rlmpc.export.parity import check_parity
from rlmpc.export.record import record_observations
from rlmpc.rollout.collector import Collector
from rlmpc.rollout.datamodule import RolloutDataModule


def train(iterations: int, folder: Path | None) -> PpoLearner:
    """PPO on the toy environment, exported to `folder` every second iteration."""
    L.seed_everything(1, verbose=False)
    env = ToyEnv(ToyEnvCfg(), 16, "cpu", 1)
    learner = PpoLearner.start(compose_train(["task=toy"])[0].agent, env, None, print)
    description = {"task": "toy", "algorithm": "ppo", "contract": env.contract, "command_ranges": None}
    trainer = L.Trainer(
        accelerator="cpu", devices=1, max_epochs=iterations, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, inference_mode=False,
        callbacks=[] if folder is None else [ExportPolicy(folder, 2, description)],
    )  # fmt: skip
    trainer.fit(learner, datamodule=RolloutDataModule(env, Collector(env, learner.cfg.num_steps, True)))
    return learner


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[PpoLearner, Path]:
    """Three iterations, and where they were exported."""
    folder = tmp_path_factory.mktemp("run") / "exports"
    return train(3, folder), folder


@pytest.mark.slow
def test_policies_are_exported_when_due_and_after_the_last_iteration(trained):
    _, folder = trained
    assert sorted(path.name for path in folder.iterdir()) == ["epoch=1", "epoch=2"]
    told = [json.loads((folder / name / "policy.json").read_text())["iteration"] for name in ("epoch=1", "epoch=2")]
    assert told == [2, 3]


@pytest.mark.slow
def test_an_export_is_the_policy_of_its_iteration(trained):
    learner, folder = trained
    observations = record_observations(ToyEnv(ToyEnvCfg(), 16, "cpu", 2), learner.policy, 1000)
    assert check_parity(learner.policy, folder / "epoch=2" / "policy.onnx", observations) < 1e-5
    assert check_parity(learner.policy, folder / "epoch=1" / "policy.onnx", observations) > 1e-3


@pytest.mark.slow
def test_exporting_changes_nothing_that_is_learned(trained):
    exported, plain = trained[0], train(3, None)
    for (name, there), here in zip(exported.state_dict().items(), plain.state_dict().values(), strict=True):
        assert torch.equal(there, here), name


def test_an_export_that_fails_is_reported_and_training_goes_on(tmp_path, caplog):
    (tmp_path / "epoch=1").mkdir()
    (tmp_path / "epoch=1" / "policy.json").write_text("old")
    with caplog.at_level(logging.WARNING, logger="callbacks.export"):
        learner = train(2, tmp_path)
    assert learner.trainer.current_epoch == 2
    assert any("no export of iteration 2" in message and "exists" in message for message in caplog.messages)
