"""Running an exported policy."""

from __future__ import annotations

import numpy as np
import pytest

from rlmpc.export.deployment import load_deployment
from rlmpc.sim2sim.policy import Policy

SEEN = {"policy": np.ones(779, np.float32)}


@pytest.fixture
def policy(export, counting) -> Policy:
    return Policy(load_deployment(export(counting)))


def test_a_memory_starts_at_zero_and_is_fed_back(policy):
    assert [policy.act(SEEN).tolist() for _ in range(3)] == [[0.0] * 30, [1.0] * 30, [2.0] * 30]


def test_a_reset_forgets_the_memory(policy):
    policy.act(SEEN)
    policy.reset()
    assert (policy.act(SEEN) == 0.0).all()


def test_policies_of_one_deployment_remember_apart(export, counting):
    deployment = load_deployment(export(counting))
    first, second = Policy(deployment), Policy(deployment)
    first.act(SEEN)
    assert (second.act(SEEN) == 0.0).all()
