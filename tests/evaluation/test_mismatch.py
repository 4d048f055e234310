"""What differs between training and playing."""

from __future__ import annotations

from types import SimpleNamespace

from rlmpc.contract.episode import Trial
from rlmpc.evaluation.mismatch import command_warnings, config_differences

NAMES = ("lin_vel_x", "lin_vel_y", "ang_vel_z")
TRAINED = {"lin_vel_x": [-0.1, 0.6], "lin_vel_y": [-0.5, 0.5], "ang_vel_z": [-0.1, 0.1]}


def config(noise: bool, push: object, **command: tuple[float, float]) -> SimpleNamespace:
    return SimpleNamespace(
        observations=SimpleNamespace(policy=SimpleNamespace(enable_corruption=noise)),
        events=SimpleNamespace(push=push),
        commands={"base_velocity": SimpleNamespace(func=print, **command)},
        scene=SimpleNamespace(num_envs=4096 if noise else 50),
        seed=None,
    )


def trials(*commands: tuple[float, ...]) -> list[Trial]:
    return [Trial("flat", 0, command) for command in commands]


def test_every_setting_that_differs_has_a_line_with_its_path():
    training = config(True, SimpleNamespace(interval=3.0), lin_vel_x=(-0.1, 0.1))
    playing = config(False, None, lin_vel_x=(-0.5, 1.0))
    assert config_differences(training, playing) == [
        "observations.policy.enable_corruption: on in training, off here",
        "events.push: on in training, off here",
        "commands.base_velocity.lin_vel_x: (-0.1, 0.1) in training, (-0.5, 1.0) here",
    ]


def test_equal_settings_and_those_of_the_run_have_none():
    training = config(True, None)
    playing = config(True, None)
    playing.scene.num_envs, playing.seed = 1, 7
    assert config_differences(training, playing) == []


def test_a_section_of_another_kind_is_compared_field_by_field():
    training, playing = config(True, SimpleNamespace(a=1)), config(True, SimpleNamespace(a=1, b=2))
    assert config_differences(training, playing) == ["events.push.b: off in training, 2 here"]


def test_a_command_beyond_the_trained_range_is_warned_of_once():
    asked = trials((1.0, 0.0, 0.0), (1.0, 0.5, 0.1000000001), (0.5, 0.0, -0.3))
    assert command_warnings(asked, NAMES, TRAINED) == [
        "lin_vel_x = 1 lies outside the range in which the policy was trained last: -0.1 to 0.6",
        "ang_vel_z = -0.3 lies outside the range in which the policy was trained last: -0.1 to 0.1",
    ]


def test_standing_still_is_always_trained():
    narrow = {name: [0.5, 1.0] for name in NAMES}
    assert command_warnings(trials((0.0, 0.0, 0.0)), NAMES, narrow) == []
    assert len(command_warnings(trials((0.5, 0.5, 0.0)), NAMES, narrow)) == 1


def test_unknown_ranges_are_said_to_be_unknown_unless_nothing_is_commanded():
    assert command_warnings(trials((1.0, 0.0, 0.0)), NAMES, None) == [
        "nobody knows which commands the policy was trained with"
    ]
    assert command_warnings(trials(()), (), None) == []
