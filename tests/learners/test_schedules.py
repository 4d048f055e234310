import math

import pytest
import torch

from rlmpc.learners.schedules import adapt_lr, is_nth, ramp


def test_a_ramp_is_zero_then_rises_then_stays():
    weights = [ramp(iteration, start=2000, length=3000, final=0.1) for iteration in (0, 1999, 2000, 3500, 5000, 9000)]
    assert weights == pytest.approx([0.0, 0.0, 0.0, 0.05, 0.1, 0.1])


def test_a_ramp_without_length_is_a_step():
    assert [ramp(iteration, start=3, length=0, final=0.5) for iteration in (2, 3)] == [0.0, 0.5]


def test_every_twentieth_iteration_is_the_last_of_twenty():
    assert [iteration for iteration in range(65) if is_nth(iteration, 20)] == [19, 39, 59]
    assert all(is_nth(iteration, 1) for iteration in range(3))


@pytest.mark.parametrize(
    ("kl", "expected"),
    [(0.021, 2e-4), (0.02, 3e-4), (0.01, 3e-4), (0.005, 3e-4), (0.0049, 4.5e-4), (0.0, 3e-4)],
)
def test_the_learning_rate_follows_kl(kl: float, expected: float):
    lr = adapt_lr(torch.tensor(3e-4), torch.tensor(kl), target=0.01, bounds=(1e-5, 1e-2))
    assert lr.item() == pytest.approx(expected)


def test_the_learning_rate_stays_in_its_bounds():
    assert adapt_lr(torch.tensor(1.2e-5), torch.tensor(1.0), 0.01, (1e-5, 1e-2)).item() == pytest.approx(1e-5)
    assert adapt_lr(torch.tensor(9e-3), torch.tensor(1e-4), 0.01, (1e-5, 1e-2)).item() == pytest.approx(1e-2)


@pytest.mark.parametrize("kl", [math.nan, math.inf, -math.inf])
def test_a_kl_that_is_not_finite_leaves_the_learning_rate_within_its_bounds(kl: float):
    lr = adapt_lr(torch.tensor(3e-4), torch.tensor(kl), target=0.01, bounds=(1e-5, 1e-2))
    assert lr.item() == pytest.approx(2e-4 if kl == math.inf else 3e-4)
