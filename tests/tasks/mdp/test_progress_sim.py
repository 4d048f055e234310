"""How far robots follow their commands. Needs Isaac Lab but starts no simulation."""

import math

import pytest
import torch

pytestmark = pytest.mark.sim

UPRIGHT = torch.tensor([[0.0, 0.0, 0.0, 1.0]])
"""Orientation without yaw, XYZW."""
DT, TIME_CONSTANT_S = 0.02, 0.35


@pytest.fixture
def progress():
    from rlmpc.tasks.mdp.progress import Progress

    return Progress(3, "cpu")


def walk(progress, velocity, command, steps: int, quat=UPRIGHT, yaw_rate: float = 0.0) -> None:
    """Walks all robots with one velocity (vx, vy) in the world and one yaw rate under one command (vx, vy)."""
    from rlmpc.tasks.mdp.progress import planar_velocity

    numbers = ([*command, 0.0], [*velocity, 0.0], [9.0, 9.0, yaw_rate])
    commands, linear, angular = (torch.tensor([three]).expand(3, 3) for three in numbers)
    for _ in range(steps):
        progress.add(commands, planar_velocity(quat.expand(3, 4), linear, angular), DT, TIME_CONSTANT_S)


def test_who_walks_at_half_the_command_has_followed_half(progress) -> None:
    walk(progress, (0.25, 0.0), (0.5, 0.0), steps=100)
    torch.testing.assert_close(progress.commanded_m, torch.full((3,), 1.0))
    torch.testing.assert_close(progress.followed_m, torch.full((3,), 0.5))
    torch.testing.assert_close(progress.followed_share, torch.full((3,), 0.5))


def test_only_distance_along_the_command_counts_and_less_than_none_is_none(progress) -> None:
    walk(progress, (0.0, 0.5), (0.5, 0.0), steps=100)
    assert progress.followed_share.tolist() == [0.0] * 3
    walk(progress, (-1.0, 0.0), (0.5, 0.0), steps=10)
    assert (progress.followed_m < 0.0).all()
    assert progress.followed_share.tolist() == [0.0] * 3


def test_errors_are_told_in_the_frame_that_turns_with_the_robot(progress) -> None:
    left = torch.tensor([[0.0, 0.0, math.sin(math.pi / 4), math.cos(math.pi / 4)]])
    walk(progress, (0.0, 0.7), (0.5, 0.0), steps=1000, quat=left)
    torch.testing.assert_close(progress.error, torch.tensor([[0.2, 0.0, 0.0]]).expand(3, 3), atol=1e-4, rtol=0)
    torch.testing.assert_close(progress.followed_share, torch.full((3,), 1.4), atol=1e-4, rtol=0)


def test_the_average_has_come_to_two_thirds_after_its_time_constant(progress) -> None:
    walk(progress, (1.0, 0.0), (0.0, 0.0), steps=round(TIME_CONSTANT_S / DT), yaw_rate=0.5)
    assert progress.error[0, 0] == pytest.approx(1.0 - math.exp(-1.0), abs=0.02)
    assert progress.error[:, 2].tolist() == pytest.approx([0.5 * progress.error[0, 0].item()] * 3)


def test_a_new_command_is_no_error_of_the_past(progress) -> None:
    walk(progress, (0.5, 0.0), (0.5, 0.0), steps=50)
    walk(progress, (1.0, 0.0), (1.0, 0.0), steps=1)
    assert progress.error.abs().max() < 1e-6


def test_who_is_not_to_walk_has_followed_all_of_it(progress) -> None:
    walk(progress, (0.3, 0.0), (0.0, 0.0), steps=50)
    assert progress.followed_share.tolist() == [1.0] * 3
    assert not progress.was_to_walk.any()


def test_episodes_begin_anew_for_a_mask(progress) -> None:
    walk(progress, (0.5, 0.0), (0.5, 0.0), steps=50, yaw_rate=0.5)
    progress.begin(torch.tensor([True, False, False]))
    assert progress.commanded_m.tolist() == [0.0, *progress.commanded_m[1:].tolist()]
    assert (progress.commanded_m[1:] > 0.0).all() and (progress.error[1:] != 0.0).any(dim=1).all()
    assert progress.error[0].tolist() == [0.0] * 3 and progress.followed_m[0] == 0.0


def test_a_broken_state_is_forgotten_with_its_episode(progress) -> None:
    walk(progress, (math.nan, 0.0), (0.5, 0.0), steps=1)
    progress.begin(torch.ones(3, dtype=torch.bool))
    walk(progress, (0.5, 0.0), (0.5, 0.0), steps=1)
    assert progress.error.isfinite().all() and progress.followed_m.isfinite().all()


def test_it_keeps_nothing_that_a_resumed_run_may_set(progress) -> None:
    """Numbers kept in an object are saved with the environments, and win over the settings of a run that goes on."""
    assert all(isinstance(value, torch.Tensor) for value in vars(progress).values())
