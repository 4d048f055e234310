"""Robots without a policy are counted in Isaac Lab."""

from __future__ import annotations

import json

import pytest

from benchmarks import mpc_newton

pytestmark = pytest.mark.sim


def test_mpc_newton_counts_the_robots_that_stay_upright(command):
    code, out, err = command(mpc_newton.main, "gates=[stand,push_walking]", "num_envs=2", "seconds=0.4", "device=cpu")
    assert code == 0, err
    stand, pushed = (json.loads(line) for line in out.splitlines() if line.startswith("{"))
    assert (stand["gate"], stand["robots"], stand["upright"], stand["rejected_share"]) == ("stand", 2, 2, 0.0)
    assert (pushed["gate"], pushed["fell_when_pushed_to_deg"]) == ("push_walking", [])


def test_mpc_newton_refuses_a_gate_that_it_does_not_know(command):
    code, _, err = command(mpc_newton.main, "gates=[stan]")
    assert code == 2
    assert "unknown 'gates' 'stan'" in err and "did you mean 'stand'?" in err
