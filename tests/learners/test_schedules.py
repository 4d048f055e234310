import pytest

from rlmpc.learners.schedules import is_nth, ramp


def test_a_ramp_is_zero_then_rises_then_stays():
    weights = [ramp(iteration, start=2000, length=3000, final=0.1) for iteration in (0, 1999, 2000, 3500, 5000, 9000)]
    assert weights == pytest.approx([0.0, 0.0, 0.0, 0.05, 0.1, 0.1])


def test_a_ramp_without_length_is_a_step():
    assert [ramp(iteration, start=3, length=0, final=0.5) for iteration in (2, 3)] == [0.0, 0.5]


def test_every_twentieth_iteration_is_the_last_of_twenty():
    assert [iteration for iteration in range(65) if is_nth(iteration, 20)] == [19, 39, 59]
    assert all(is_nth(iteration, 1) for iteration in range(3))
