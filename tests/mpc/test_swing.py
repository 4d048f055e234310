"""The path of a swinging foot, and the small inverses that its torques need."""

from __future__ import annotations

import torch

from rlmpc.mpc.swing import Swing, inverse_of_positive, joint_motion
from rlmpc.mpc.walk_settings import WalkSettings

PLACES = torch.tensor([[[0.0, 0.1, 0.0], [0.2, -0.1, 0.0]]])


def path(share: float, late_s: float = 0.0, shape: float = 0.0, speed: float = 4.0):
    swing = Swing(WalkSettings(), 1)
    swing.reset(torch.tensor([True]), PLACES, torch.zeros(1))
    swing.foothold.add_(torch.tensor([0.3, 0.0, 0.02]))
    shares, column = torch.full((1, 2), share), torch.ones(1, 1)
    late = torch.full((1, 2), late_s)
    return swing.path(
        shares, shares.new_full((1, 2), speed), torch.full((1, 1), 0.2), late, 0.06 * column, shape * column
    )


def test_the_path_leads_from_the_place_of_lifting_to_the_foothold_over_the_height():
    torch.testing.assert_close(path(0.0).pos, PLACES)
    torch.testing.assert_close(path(1.0).pos, PLACES + torch.tensor([0.3, 0.0, 0.02]))
    torch.testing.assert_close(path(0.5).pos, PLACES + torch.tensor([0.15, 0.0, 0.01 + 0.06]))
    assert path(0.0).yaw[0, 0] == 0.0
    torch.testing.assert_close(path(1.0).yaw, torch.full((1, 2), 0.2))


def test_velocity_and_acceleration_are_derivatives_of_the_path():
    step = 1.0e-3
    for share, shape in ((0.3, 0.0), (0.7, 0.6)):
        before, here, after = (path(share + delta, shape=shape) for delta in (-step, 0.0, step))
        seconds = step / 4.0
        torch.testing.assert_close((after.pos - before.pos) / (2 * seconds), here.twist[..., :3], atol=1e-3, rtol=1e-3)
        torch.testing.assert_close((after.yaw - before.yaw) / (2 * seconds), here.twist[..., 5], atol=1e-3, rtol=1e-3)
        torch.testing.assert_close((after.twist - before.twist) / (2 * seconds), here.acc, atol=2e-3, rtol=2e-3)


def test_a_positive_shape_lifts_the_foot_earlier():
    assert path(0.25, shape=0.5).pos[0, 0, 2] > path(0.25).pos[0, 0, 2] > path(0.25, shape=-0.5).pos[0, 0, 2]


def test_a_late_foot_goes_on_down():
    late = path(1.0, late_s=0.05)
    torch.testing.assert_close(late.pos[0, 0], PLACES[0, 0] + torch.tensor([0.3, 0.0, 0.02 - 0.3 * 0.05]))
    torch.testing.assert_close(late.twist[0, 0, :3], torch.tensor([0.0, 0.0, -0.3]))


def test_the_inverse_is_that_of_the_library():
    root = torch.randn(7, 2, 6, 6, generator=torch.Generator().manual_seed(0))
    positive = root @ root.mT + 0.1 * torch.eye(6)
    torch.testing.assert_close(inverse_of_positive(positive), torch.linalg.inv(positive), rtol=1e-3, atol=1e-4)


def test_joint_motion_makes_the_motion_of_the_sole_and_stays_small_near_a_straight_leg():
    generator = torch.Generator().manual_seed(0)
    jacobian = torch.randn(5, 6, 6, generator=generator) + 2.0 * torch.eye(6)
    motion = torch.randn(5, 6, generator=generator)
    made = (jacobian @ joint_motion(jacobian, motion).unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(made, motion, rtol=0.02, atol=0.02)
    singular = torch.diag(torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0, 0.0]))
    assert joint_motion(singular, torch.ones(6)).abs().max() < 1.01
