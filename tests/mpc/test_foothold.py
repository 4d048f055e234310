"""Where feet are to land, by numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from rlmpc.mpc.foothold import capture_point, footholds, upcoming_feet
from rlmpc.mpc.walk_settings import WalkSettings

WALK = WalkSettings()
HEIGHT = 9.81 / 16.0
"""[m] w0 = 4 / s."""
PERIOD = torch.tensor([math.log(2.0) / 2.0])
"""[s] The capture point moves away from the foot by a factor of 2 in half of it."""


def test_the_capture_point_is_the_centre_of_mass_and_its_velocity_over_w0():
    point = capture_point(torch.tensor([[1.0, 2.0, 0.6]]), torch.tensor([[0.4, -0.8, 9.0]]), HEIGHT)
    torch.testing.assert_close(point, torch.tensor([[1.1, 1.8]]))


def placed(point: tuple[float, float], command=(0.0, 0.0, 0.0)):
    points = torch.tensor(point).expand(1, 2, 2)
    feet, error = footholds(points, torch.full((1, 2), -0.02), torch.tensor([command]), PERIOD, HEIGHT, WALK)
    return feet[0].tolist(), error[0].tolist()


def test_the_foothold_is_the_capture_point_less_the_offset_of_the_periodic_gait():
    # Nothing is left of the swing; b = (0, -+0.2 / 3) stepping in place.
    (left, right), _ = placed((0.1, 0.1))
    assert left == pytest.approx([0.1, 0.1 + 0.2 / 3.0], abs=1e-6)
    # 0.1 - 0.0667 is on the wrong side of the left foot.
    assert right == pytest.approx([0.1, -0.1], abs=1e-6)
    # b_x = 0.8 T / (2 - 1) with T = ln(2) / 4.
    (left, _), _ = placed((0.3, 0.1), command=(0.8, 0.0, 0.0))
    assert left[0] == pytest.approx(0.3 - 0.2 * math.log(2.0), abs=1e-6)


def test_the_capture_point_grows_until_the_foot_lands():
    point, left_s = torch.tensor([[[0.05, 0.0], [0.05, 0.0]]]), torch.full((1, 2), math.log(2.0) / 4.0 - 0.02)
    feet, _ = footholds(point, left_s, torch.zeros(1, 3), PERIOD, HEIGHT, WALK)
    assert feet[0, 0, 0].item() == pytest.approx(0.1, abs=1e-6)


def test_footholds_stay_within_reach_and_their_error_does_not():
    (left, right), (error, _) = placed((1.0, 0.0))
    assert left[0] == right[0] == pytest.approx(WALK.reach_m)
    assert error == pytest.approx(math.hypot(1.0, 0.2 / 3.0 - 0.2), abs=1e-6)
    (left, right), _ = placed((0.0, 2.0))
    assert (left[1], right[1]) == pytest.approx((0.5, -0.1))


def test_feet_of_the_horizon_stay_land_at_the_foothold_or_beside_the_other():
    table = torch.tensor([[[False, True], [True, True], [True, False], [True, True]]])
    soles, target = (
        torch.tensor([[[0.0, 0.1, 0.0], [0.1, -0.1, 0.0]]]),
        torch.tensor([[[0.3, 0.1, 0.0], [9.0, 9.0, 9.0]]]),
    )
    command, period = torch.tensor([[0.5, 0.0, 0.0]]), torch.tensor([0.4])
    feet = upcoming_feet(table, soles, target, command, period, torch.eye(3)[None], WALK)[0]
    torch.testing.assert_close(feet[1:, 0], torch.tensor([[0.3, 0.1, 0.0]]).expand(3, 3))
    torch.testing.assert_close(feet[:2, 1], soles[0, 1].expand(2, 3))
    # Half a period at 0.5 m/s before the left foot's new place, and 0.2 m beside it.
    torch.testing.assert_close(feet[3, 1], torch.tensor([0.4, -0.1, 0.0]))
