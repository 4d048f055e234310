"""Which trials an evaluation consists of."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rlmpc.contract.episode import Trial
from rlmpc.errors import UserError
from rlmpc.evaluation.grid import DEFAULT_COMMANDS, make_trials

AXES = ("lin_vel_x", "lin_vel_y", "ang_vel_z")


def world(num_levels: int = 10, names: tuple[str, ...] = AXES) -> Any:
    return SimpleNamespace(terrains=("stairs_up", "random_boxes"), num_levels=num_levels, command_names=names)


def test_without_wishes_the_grid_holds_every_terrain_three_levels_and_the_default_commands():
    trials = make_trials(world())
    commands = DEFAULT_COMMANDS[AXES]
    assert len(trials) == len(set(trials)) == 2 * 3 * len(commands)
    assert {trial.terrain for trial in trials} == {"stairs_up", "random_boxes"}
    assert {trial.level for trial in trials} == {0, 5, 9}
    assert {trial.command for trial in trials} == set(commands)


def test_default_commands_are_four_speeds_sideways_turning_and_standing():
    commands = DEFAULT_COMMANDS[AXES]
    assert sorted(vx for vx, vy, yaw in commands if (vy, yaw) == (0.0, 0.0)) == [0.0, 0.3, 0.5, 0.8, 1.0]
    assert {(vx, bool(vy), bool(yaw)) for vx, vy, yaw in commands if vy or yaw} == {(0, True, False), (0, False, True)}


@pytest.mark.parametrize(("num_levels", "levels"), [(1, {0}), (2, {0, 1}), (3, {0, 1, 2})])
def test_few_levels_are_all_taken(num_levels: int, levels: set[int]):
    assert {trial.level for trial in make_trials(world(num_levels))} == levels


def test_wishes_are_multiplied_in_order_and_repeated_for_every_episode():
    trials = make_trials(world(), ["random_boxes"], [2, 1], [[1, 0, 0]], episodes=2)
    assert trials == [Trial("random_boxes", level, (1.0, 0.0, 0.0)) for level in (2, 2, 1, 1)]


def test_where_there_is_no_command_trials_have_none():
    assert {trial.command for trial in make_trials(world(names=()))} == {()}


@pytest.mark.parametrize(
    ("wishes", "sentence"),
    [
        ({"terrains": ["stair_up"]}, "no terrain 'stair_up'; known: stairs_up, random_boxes; did you mean 'stairs_up'"),
        ({"levels": [10]}, "no level 10; accepted: 0 to 9"),
        ({"levels": [-1]}, "no level -1"),
        ({"commands": [[1.0, 0.0]]}, r"command \[1.0, 0.0\] does not fit; accepted: 3 numbers \(lin_vel_x, lin_vel_y"),
        ({"commands": [[1.0, 0.0, float("nan")]]}, "does not fit"),
        ({"terrains": []}, "nothing to evaluate"),
        ({"episodes": 0}, "nothing to evaluate"),
    ],
)
def test_what_the_environment_does_not_have_is_refused(wishes: dict, sentence: str):
    with pytest.raises(UserError, match=sentence):
        make_trials(world(), **wishes)


def test_commands_without_a_default_must_be_given():
    with pytest.raises(UserError, match="commands of height have no default"):
        make_trials(world(names=("height",)))
    assert make_trials(world(names=("height",)), commands=[[0.5]])[0].command == (0.5,)
