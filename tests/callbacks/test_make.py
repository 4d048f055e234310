from __future__ import annotations

from pathlib import Path

import lightning as L
from rich.console import Console

from callbacks.make import make_callbacks
from rlmpc.command_line.train import compose_train
from rlmpc.envs.toy import ToyEnv
from rlmpc.rollout.collector import Collector
from rlmpc.rollout.faults import FaultRecorder
from rlmpc.run.stopping import StopSignals


def names(toy_env: ToyEnv, folder: Path, recorder: FaultRecorder | None, *arguments: str) -> list[str]:
    """In the order in which Lightning calls them."""
    cfg, _ = compose_train(["task=toy", *arguments])
    signals = StopSignals(1.0, print)
    collector = Collector(toy_env, 4, stagger_episodes=False, recorder=recorder)
    callbacks = make_callbacks(cfg, toy_env, folder, Console(), collector, signals, seed=1)
    trainer = L.Trainer(callbacks=callbacks, logger=False, enable_progress_bar=False, enable_model_summary=False)
    return [type(callback).__name__ for callback in trainer.callbacks]


def test_who_stops_is_called_first_then_who_shows_and_files_then_the_limits_then_who_saves(toy_env, tmp_path):
    assert names(toy_env, tmp_path, FaultRecorder(), "checkpoint.export=true") == [
        *("StopBetweenIterations", "Throughput", "ConsoleTable", "EvaluationLine", "EvaluationTable"),
        *("SolverOverflows", "Stalls"),
        *("ExportPolicy", "FaultDump", "FaultLimits", "IterationCheckpoint"),
    ]


def test_what_takes_up_checkpoints_is_called_after_who_saves(toy_env, tmp_path):
    arguments = ["logger=[mlflow]", "video.every=100"]
    assert names(toy_env, tmp_path, None, *arguments)[-3:] == ["IterationCheckpoint", "UploadedCheckpoints", "Videos"]
    assert "UploadedCheckpoints" not in names(toy_env, tmp_path, None, "logger=[mlflow]", "checkpoint.upload=none")
    assert "UploadedCheckpoints" not in names(toy_env, tmp_path, None)


def test_what_is_switched_off_is_not_there(toy_env, tmp_path):
    assert not {"ExportPolicy", "FaultDump", "Stalls"} & set(names(toy_env, tmp_path, None, "console.stall_after=null"))
