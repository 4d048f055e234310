"""From steps to episodes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from rlmpc.contract.episode import GOES_ON, Motion, Trial
from rlmpc.evaluation.tally import Tally

WALK = Trial("flat", 0, (0.5, 0.0, 0.2))
STEPS = [
    # velocity, position, power
    ((0.3, 0.4, 0.2), (1.0, 2.0), 10.0),
    ((0.5, 0.0, 0.1), (1.3, 2.4), 30.0),
    ((0.4, 0.2, 0.6), (1.0, 2.1), 20.0),
]


def motion(step: tuple) -> Motion[np.ndarray]:
    """Movement of two robots: the one of the step, and one that stands."""
    velocity, position, power = step
    velocities = np.array([velocity, (0.0, 0.0, 0.0)])
    return Motion(velocities, velocities - WALK.command, np.array([position, (0.0, 0.0)]), np.array([power, 0.0]))


def as_tensors(motion: Motion[np.ndarray]) -> Motion[torch.Tensor]:
    return Motion(*(torch.tensor(values, dtype=torch.float64) for values in vars(motion).values()))


def episodes_of(tally: Tally, reason: str = "time_out") -> list:
    return tally.episodes([WALK, WALK], [reason] * 2, [False, True], step_dt=0.02)


def test_an_episode_has_the_means_of_its_steps():
    tally = Tally(np, 2)
    for step in STEPS:
        tally.add(motion(step), np.ones(2, dtype=bool))
    walking, standing = episodes_of(tally)
    assert walking.velocity == pytest.approx((0.4, 0.2, 0.3))
    errors = [math.hypot(-0.2, 0.4), 0.0, math.hypot(-0.1, 0.2)]
    assert walking.error_xy == pytest.approx(sum(errors) / 3)
    assert walking.rmse_xy == pytest.approx(math.sqrt(sum(error**2 for error in errors) / 3))
    assert walking.rmse_yaw == pytest.approx(math.sqrt((0.0 + 0.1**2 + 0.4**2) / 3))
    assert walking.distance_m == pytest.approx(0.02 * (0.5 + 0.5 + math.hypot(0.4, 0.2)))
    assert walking.drift_m == pytest.approx(0.5)
    assert walking.energy_j == pytest.approx(0.02 * 60.0)
    assert (standing.velocity, standing.distance_m, standing.drift_m) == ((0.0, 0.0, 0.0), 0.0, 0.0)
    assert (walking.fell, standing.fell) == (False, True)


def test_numpy_and_torch_give_the_same_episodes():
    in_numpy, in_torch = Tally(np, 2), Tally(torch, 2, dtype=torch.float64)
    for step in STEPS:
        in_numpy.add(motion(step), np.array([True, False]))
        in_torch.add(as_tensors(motion(step)), torch.tensor([True, False]))
    assert episodes_of(in_numpy) == episodes_of(in_torch)


def test_the_last_step_belongs_to_the_length_alone():
    tally = Tally(np, 2)
    tally.add(motion(STEPS[0]), np.array([True, False]))
    assert [episode.length_s for episode in episodes_of(tally)] == [0.04, 0.02]
    assert [episode.length_s for episode in episodes_of(tally, GOES_ON)] == [0.02, 0.0]


def test_steps_that_do_not_count_are_ignored_even_where_they_are_not_finite():
    tally = Tally(np, 2)
    broken = Motion(*(np.full_like(values, np.nan) for values in vars(motion(STEPS[0])).values()))
    tally.add(broken, np.zeros(2, dtype=bool))
    tally.add(motion(STEPS[1]), np.array([True, False]))
    tally.add(broken, np.zeros(2, dtype=bool))
    walking, other = episodes_of(tally)
    assert walking.velocity == pytest.approx((0.5, 0.0, 0.1))
    assert walking.drift_m == 0.0
    assert (other.velocity, other.rmse_xy, other.energy_j) == ((0.0, 0.0, 0.0), 0.0, 0.0)


def test_drift_is_measured_from_the_first_step_that_counts():
    tally = Tally(np, 2)
    for step, counts in zip(STEPS, (False, True, True), strict=True):
        tally.add(motion(step), np.array([counts, counts]))
    assert episodes_of(tally)[0].drift_m == pytest.approx(math.hypot(0.3, 0.3))


def test_nothing_is_copied_from_the_device_while_steps_are_added(monkeypatch):
    def refuse(*_: Any) -> None:
        raise AssertionError("asked for a number")

    tally = Tally(torch, 2, dtype=torch.float64)
    for name in ("item", "tolist", "__bool__", "__float__", "nonzero"):
        monkeypatch.setattr(torch.Tensor, name, refuse)
    for step in STEPS:
        tally.add(as_tensors(motion(step)), torch.ones(2, dtype=torch.bool))
