"""A study in a folder, as workers see it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from rlmpc.sweep.queue import Queue
from rlmpc.sweep.settings import SweepCfg
from rlmpc.sweep.space import read_space
from rlmpc.sweep.study import open_storage, open_study

SPACE = {"agent.learning_rate": {"float": ["1e-4", "1e-2"], "log": "true"}, "agent.num_epochs": {"int": ["2", "8"]}}


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., tuple[optuna.Study, Queue]]:
    """Opens the study and its queue, as a worker process that starts does; a folder and settings may be given."""

    def open_both(name: str = "sweep", **settings: object) -> tuple[optuna.Study, Queue]:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        cfg = SweepCfg(folder=str(folder), **({"trials": 4} | settings))  # type: ignore[arg-type]
        study = open_study(cfg, open_storage(cfg))
        return study, Queue(study, read_space(SPACE), cfg.trials, folder)

    return open_both
