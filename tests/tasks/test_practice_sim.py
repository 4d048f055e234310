"""The `_practice` tasks are their first stage with the overrides of docs/tasks.md, where its curricula end."""

from __future__ import annotations

import pytest

from rlmpc.command_line.train import compose_train
from rlmpc.config.compare import config_changes
from tests.tasks.test_reference_sim import config, overrides_of_the_table

pytestmark = pytest.mark.sim

TASKS = ["blind_rl", "phase_1_scan_rl"]


@pytest.mark.parametrize("task", TASKS)
def test_the_overrides_of_the_page_make_a_task_its_practice_and_each_of_them_does_something(task: str):
    overrides = overrides_of_the_table(f"| in `{task}_practice`")
    assert config_changes(config(f"{task}_practice"), config(task, *overrides)) == []
    declared = {override.partition("=")[0].removeprefix("env.") for override in overrides}
    assert {change.path for change in config_changes(config(f"{task}_practice"), config(task))} == declared


@pytest.mark.parametrize("task", TASKS)
def test_practice_begins_where_the_curricula_of_the_first_stage_end(task: str):
    cfg = config(f"{task}_practice")
    command = cfg.commands.base_velocity
    assert vars(command.ranges) == vars(command.limits)
    assert cfg.curriculum.penalty_scale.params["start"] == 1.0
    assert cfg.scene.terrain.max_init_terrain_level < cfg.scene.terrain.terrain_generator.num_rows


@pytest.mark.parametrize("task", TASKS)
def test_an_agent_of_practice_begins_to_learn_slowly_explores_for_less_long_and_pulls_its_latents_at_once(task: str):
    first, second = (compose_train([f"task={name}"])[0].agent for name in (task, f"{task}_practice"))
    differing = {name for name, value in vars(second).items() if value != getattr(first, name)}
    pull = {"regularizer_start", "regularizer_ramp"} if second.algorithm == "rma" else set()
    assert differing == {"learning_rate", "anneal_start", "anneal_iterations"} | pull
    assert second.anneal_start + second.anneal_iterations < first.anneal_start + first.anneal_iterations
    assert second.learning_rate < first.learning_rate
