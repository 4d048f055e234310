"""Legs from link poses and twists, against MuJoCo's own numbers."""

# MuJoCo fills its module from compiled ones, which pyright cannot read.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch

from rlmpc.mpc.legs import Legs
from rlmpc.mpc.momentum import Momentum
from rlmpc.robots.g1.config import G1
from tests.mpc.robots import tumbling

NUM = 5


@pytest.fixture(autouse=True)
def double():
    """Compare in float64: what is left is rounding."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def robots():
    return tumbling(NUM)


def of_legs(robots, quantity):
    """Stack what MuJoCo says of the two legs of each robot."""
    joints = 6 + robots.facts.leg_joints
    pairs = zip(robots.models, robots.data, strict=True)
    return torch.tensor(
        np.array([[quantity(m, d, m.body(G1.feet[k]).id, joints[k], k) for k in (0, 1)] for m, d in pairs])
    )


def test_jacobian_and_velocity_of_the_sole_are_mujocos(robots):
    legs = Legs(robots.facts)(robots.state())

    def of_sole(function):
        def quantity(model, data, body, joints, k):
            both = np.zeros((2, 3, model.nv))
            at = legs.sole_pos[robots.data.index(data), k].numpy()
            function(model, data, both[0], both[1], at, body)
            return both.reshape(6, -1)

        return quantity

    whole = of_legs(robots, of_sole(mujoco.mj_jac))
    velocities = torch.tensor(np.array([data.qvel for data in robots.data]))[:, None, :, None]
    joints = torch.as_tensor(6 + robots.facts.leg_joints)
    ours = torch.stack([whole[:, k][..., joints[k]] for k in (0, 1)], 1)
    torch.testing.assert_close(legs.jacobian, ours)
    torch.testing.assert_close(legs.sole_twist, (whole @ velocities).squeeze(-1))
    changes = of_legs(robots, of_sole(mujoco.mj_jacDot))
    torch.testing.assert_close(legs.sole_bias, (changes @ velocities).squeeze(-1))


def test_inertia_with_rotors_is_a_block_of_mujocos_mass_matrix(robots):
    def block(model, data, body, joints, k):
        full = np.zeros((model.nv, model.nv))
        mujoco.mj_fullM(model, data, full)
        return full[np.ix_(joints, joints)]

    torch.testing.assert_close(Legs(robots.facts)(robots.state()).inertia, of_legs(robots, block))


def test_gravity_and_coriolis_torques_are_mujocos(robots):
    bias = of_legs(robots, lambda model, data, body, joints, k: data.qfrc_bias[joints])
    torch.testing.assert_close(Legs(robots.facts)(robots.state()).bias, bias)


def test_momentum_is_that_of_mujocos_subtree_sensors(robots):
    whole = Momentum(robots.facts)(robots.state())
    for model, data in zip(robots.models, robots.data, strict=True):
        mujoco.mj_subtreeVel(model, data)
    for ours, name in (("com", "subtree_com"), ("com_vel", "subtree_linvel"), ("angular_momentum", "subtree_angmom")):
        theirs = torch.tensor(np.array([getattr(data, name)[1] for data in robots.data]))
        torch.testing.assert_close(getattr(whole, ours), theirs)


def test_torques_against_gravity_are_mujocos_of_a_robot_at_rest(robots):
    for data in robots.data:
        data.qvel[:] = 0.0
    robots.forward()
    theirs = torch.tensor(np.array([data.qfrc_bias[6:] for data in robots.data]))
    torch.testing.assert_close(Momentum(robots.facts)(robots.state()).gravity_torque, theirs)
