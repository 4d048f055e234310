"""What counts as a success."""

from __future__ import annotations

import pytest

from rlmpc.contract.episode import Episode, Trial


def episode(command: tuple[float, ...], velocity: tuple[float, float, float], drift_m: float, fell: bool = False):
    trial = Trial("flat", 0, command)
    return Episode(trial, "time_out", fell, 12.0, 6.0, drift_m, velocity, 0.1, 0.1, 0.1, 100.0)


@pytest.mark.parametrize(
    ("command", "velocity", "followed"),
    [
        ((0.8, 0.0, 0.0), (0.6, 0.3, 1.0), 0.75),
        ((0.8, 0.0, 0.0), (-0.4, 0.0, 0.0), -0.5),
        ((0.0, -0.5, 0.0), (0.0, -0.25, 0.0), 0.5),
        ((0.3, 0.4, 1.0), (0.3, 0.4, 0.0), 1.0),
        ((0.3, 0.4, 0.0), (0.4, -0.3, 0.0), 0.0),
        ((0.0, 0.0, -1.0), (0.4, 0.0, -0.8), 0.8),
    ],
)
def test_what_is_followed_is_the_velocity_along_the_command_or_the_yaw_rate_on_the_spot(
    command: tuple[float, ...], velocity: tuple[float, float, float], followed: float
):
    assert episode(command, velocity, 3.0).followed == pytest.approx(followed)


@pytest.mark.parametrize(
    ("command", "to_follow", "may_leave"),
    [
        ((3.0, 4.0, 1.0), (3.0, 4.0, 0.0), True),
        ((0.0, 0.0, -0.5), (0.0, 0.0, -0.5), False),
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), False),
        ((), (), True),
    ],
)
def test_a_robot_that_is_to_turn_or_to_stand_follows_no_velocity_in_the_plane_and_stays(
    command: tuple[float, ...], to_follow: tuple[float, ...], may_leave: bool
):
    trial = Trial("flat", 0, command)
    assert (trial.to_follow, trial.may_leave) == (to_follow, may_leave)


def test_who_walks_where_it_is_told_at_three_quarters_of_the_speed_succeeds():
    assert episode((0.8, 0.0, 0.0), (0.61, 0.0, 0.0), 7.0).success
    assert not episode((0.8, 0.0, 0.0), (0.59, 0.0, 0.0), 7.0).success


def test_who_stands_still_instead_of_walking_has_failed():
    assert not episode((0.5, 0.0, 0.0), (0.0, 0.0, 0.0), 0.0).success


def test_who_falls_has_failed_however_well_it_walked():
    assert not episode((0.5, 0.0, 0.0), (0.5, 0.0, 0.0), 6.0, fell=True).success


def test_the_yaw_rate_does_not_matter_while_a_velocity_in_the_plane_is_commanded():
    assert episode((0.5, 0.0, 1.0), (0.5, 0.0, 0.0), 6.0).success


def test_who_is_told_to_stand_must_stay():
    assert episode((0.0, 0.0, 0.0), (0.0, 0.0, 0.4), 0.5).success
    assert not episode((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 0.51).success
    assert episode((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 0.1).followed is None


def test_who_is_told_to_turn_on_the_spot_must_turn_and_stay():
    assert episode((0.0, 0.0, 1.0), (0.0, 0.0, 0.8), 0.2).success
    assert not episode((0.0, 0.0, 1.0), (0.0, 0.0, 0.7), 0.2).success
    assert not episode((0.0, 0.0, 1.0), (0.0, 0.0, -1.0), 0.2).success
    assert not episode((0.0, 0.0, 1.0), (0.0, 0.0, 1.0), 0.6).success


@pytest.mark.parametrize("command", [(), (0.7,)])
def test_without_a_velocity_command_not_to_fall_is_enough(command: tuple[float, ...]):
    assert episode(command, (0.0, 0.0, 0.0), 9.0).success
    assert not episode(command, (0.0, 0.0, 0.0), 0.0, fell=True).success
    assert episode(command, (0.0, 0.0, 0.0), 9.0).followed is None


def test_a_velocity_that_is_not_a_number_follows_nothing():
    assert not episode((0.5, 0.0, 0.0), (float("nan"), 0.0, 0.0), 0.0).success
