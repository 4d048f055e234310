from __future__ import annotations

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rlmpc.command_line.train import compose_train
from rlmpc.run.loggers import make_loggers


def test_tensorboard_gets_the_numbers_of_the_run_and_no_others(tmp_path: Path):
    cfg, _ = compose_train(["task=toy", "logger=[tensorboard]"])
    (logger,) = make_loggers(cfg, tmp_path, 0)
    logger.log_hyperparams({"agent": {"gamma": 0.99}})
    logger.log_metrics({"episode/return": 2.0}, step=0)
    logger.finalize("success")
    tags = {
        tag for path in tmp_path.glob("*tfevents*") for tag in EventAccumulator(str(path)).Reload().Tags()["scalars"]
    }
    assert tags == {"episode/return"}
