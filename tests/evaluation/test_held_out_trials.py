"""Which environments are held out of training, and what they play."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from rlmpc.config.train import EvaluationCfg
from rlmpc.errors import UserError
from rlmpc.evaluation.held_out_trials import held_out_trials, make_held_out

KINDS = ("stairs_up", "stairs_down", "boxes")


def env(
    num_envs: int, device: str = "cpu", command_names: tuple[str, ...] = ("lin_vel_x", "lin_vel_y", "ang_vel_z")
) -> Any:
    """Environments in blocks, one for each kind of ground, as Isaac Lab places them."""
    return SimpleNamespace(
        num_envs=num_envs,
        device=SimpleNamespace(type=device),
        terrains=KINDS,
        num_levels=10,
        command_names=command_names,
        max_episode_length=600,
        grounds=lambda: [KINDS[index * len(KINDS) // num_envs] for index in range(num_envs)],
    )


def test_they_are_spread_over_kinds_levels_and_commands():
    trials = held_out_trials(env(4096), 126)
    grounds = env(4096).grounds()
    assert all(grounds[index] == trial.terrain for index, trial in trials.items())
    # 3 levels and 7 commands on each kind, each twice.
    assert set(Counter(trials.values()).values()) == {2}
    assert len(set(trials.values())) == 3 * 3 * 7


def test_a_few_are_spread_too_and_always_the_same():
    trials = held_out_trials(env(12), 6)
    assert trials == held_out_trials(env(12), 6)
    assert Counter(trial.terrain for trial in trials.values()) == dict.fromkeys(KINDS, 2)
    assert {trial.level for trial in trials.values()} == {0, 5}


@pytest.mark.parametrize(
    ("given", "num_envs", "device", "count"),
    [(None, 4096, "cuda", 51), (None, 64, "cuda", 0), (None, 4096, "cpu", 0), (7, 64, "cpu", 7), (0, 4096, "cuda", 0)],
)
def test_how_many_depends_on_the_device_unless_it_is_said(given: int | None, num_envs: int, device: str, count: int):
    assert EvaluationCfg(given).num_held_out(num_envs, device) == count


def test_who_holds_out_all_has_none_to_learn_from():
    with pytest.raises(UserError, match="leaves none"):
        EvaluationCfg(64).num_held_out(64, "cpu")


def test_a_task_without_default_commands_holds_out_none_unless_some_are_asked_for():
    other = env(64, command_names=("height",))
    assert make_held_out(EvaluationCfg(), other, 24) is None
    with pytest.raises(UserError, match="have no default"):
        make_held_out(EvaluationCfg(3), other, 24)


def test_without_any_there_is_nothing_to_count():
    assert make_held_out(EvaluationCfg(0), env(64), 24) is None
    other = env(64)
    other.device = torch.device("cpu")
    made = make_held_out(EvaluationCfg(3), other, 24)
    assert made is not None and (made.every, made.episodes) == (100, 3)
