"""Environments for the tests of the tasks, closed in time: only one simulation may live in a process."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest


@pytest.fixture(scope="module")
def make_env() -> Iterator[Callable[..., Any]]:
    """Builds an environment on the CPU from a configuration; whatever was built is closed after the module."""
    envs = []

    def make(cfg: Any, num_envs: int, num_rows: int | None = None) -> Any:
        from isaaclab.envs import ManagerBasedRLEnv

        cfg.scene.num_envs = num_envs
        cfg.sim.device = "cpu"
        cfg.seed = 1
        if num_rows is not None:
            cfg.scene.terrain.terrain_generator.num_rows = num_rows
        cfg.finalize()
        envs.append(ManagerBasedRLEnv(cfg))
        return envs[-1]

    yield make
    for env in envs:
        env.close()
