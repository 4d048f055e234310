"""Every term that a task observes is described for those who drive a robot without this code."""

from __future__ import annotations

import pytest

from rlmpc.command_line.files import choices
from rlmpc.command_line.train import compose_train
from rlmpc.contract.terms import TERMS
from rlmpc.envs.make import env_config, observation_terms

pytestmark = pytest.mark.sim


@pytest.mark.parametrize("task", choices("task"))
def test_every_term_of_a_task_is_described(task: str):
    cfg = compose_train([f"task={task}"])[0].task
    terms = observation_terms(cfg, env_config(cfg, {}))
    assert {name for group in terms.values() for name in group} - TERMS.keys() == set()
