"""Kernels of Warp, compiled for the CPU, do what the torch code of legs, gait and torques does."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.mpc_problems import G1 as BODY
from benchmarks.mpc_problems import random_problems
from rlmpc.mpc.controller import Controller
from rlmpc.mpc.legs import Legs
from rlmpc.mpc.momentum import Momentum
from rlmpc.mpc.predictive import Predictive
from rlmpc.mpc.settings import MpcSettings
from rlmpc.mpc.state import RobotState
from rlmpc.mpc.walk_settings import WalkSettings
from rlmpc.networks.tree import tree_map
from tests.mpc.robots import Walk, tumbling
from tests.mpc.test_controller import compare_gpu_with_cpu, mirrored_efforts

pytestmark = pytest.mark.sim

NUM = 7
WEIGHT = 9.81 * BODY.mass


def by_kernels(facts, num: int) -> Controller:
    return Controller(facts, MpcSettings(), WalkSettings(), num, "cpu")


@pytest.fixture(scope="module")
def robots():
    return tumbling(NUM)


def rows(num: int) -> Callable[[Tensor], Tensor]:
    """Return a function that makes so many robots of the first ones, again and again."""
    return lambda values: values[torch.arange(num) % len(values)]


def exact(facts, state: RobotState):
    """Compute legs and sums in float64."""
    torch.set_default_dtype(torch.float64)
    try:
        return Legs(facts)(doubled := tree_map(Tensor.double, state)), Momentum(facts)(doubled)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("far_m", [0.0, 200.0])
@pytest.mark.parametrize("num", [1, NUM, 64])
def test_legs_and_sums_are_those_of_float64_up_to_rounding(robots, num, far_m):
    """Also far from the world's origin, where positions themselves are rounded."""
    state = tree_map(rows(num), tree_map(Tensor.float, robots.state()))
    state.link_pos += far_m
    found = by_kernels(robots.facts, num)._bodies(state)
    for ours, theirs in zip(found, exact(robots.facts, state), strict=True):
        for name, wanted in vars(theirs).items():
            bound = 1e-6 * float(wanted.abs().max())
            torch.testing.assert_close(getattr(ours, name).double(), wanted, rtol=0.0, atol=bound, msg=name)


def test_rotations_are_isaac_labs():
    from isaaclab.utils.math import matrix_from_quat

    from rlmpc.mpc.kernels.bodies import matrices

    pose = torch.randn(NUM, 30, 7)
    pose[..., 3:] /= pose[..., 3:].norm(dim=-1, keepdim=True)
    torch.testing.assert_close(matrices(pose[..., 3:]), matrix_from_quat(pose[..., 3:]), rtol=0.0, atol=1e-6)


@pytest.mark.parametrize("horizon", [3, 10, 20])
def test_the_solver_iterates_as_torch_does(horizon):
    found, wanted = (Predictive(BODY, MpcSettings(horizon=horizon, fused=fused), NUM, "cpu") for fused in (True, False))
    for seed in range(3):  # From where the last solve ended.
        problems = random_problems(NUM, seed, found.settings)
        ours, theirs = found.solve(*problems), wanted.solve(*problems)
        torch.testing.assert_close(ours.wrench, theirs.wrench, rtol=0.0, atol=1e-2 * WEIGHT)
        torch.testing.assert_close(ours.cost, theirs.cost, rtol=1e-4, atol=0.0)
        assert torch.equal(ours.accepted, theirs.accepted)


def test_a_robot_is_solved_alike_alone_and_beside_a_broken_one():
    settings = MpcSettings()
    many, one = (Predictive(BODY, settings, num, "cpu") for num in (2, 1))
    problems = random_problems(2, 4, settings)
    wanted = one.solve(*(values[1:] for values in problems))
    problems.state[0, 9] = torch.nan
    found = many.solve(*problems)
    assert found.accepted.tolist() == [False, True]
    torch.testing.assert_close(found.wrench[1:], wanted.wrench, rtol=0.0, atol=1e-4 * WEIGHT)


@pytest.fixture(scope="module")
def steps() -> list[tuple[dict[str, Tensor], RobotState, Tensor, dict[str, Tensor]]]:
    """State of a controller and of its robots before, efforts and state after, while robots start, walk and stumble."""
    walk, told = Walk(NUM, (0.3, 0.1, 0.2), seed=3), []
    controller = walk.controller
    controller.is_fused = False
    for index in range(70):
        if index in (5, 40, 60):  # The first lets feet lift at once.
            walk.robots.push(np.array([[0.4, 0.3 * (-1) ** k] for k in range(NUM)]))
        controller.plan(walk.robots.state(), walk.command, walk.parameters)
        for _ in range(4):
            before, state = copy.deepcopy(controller.state_dict()), walk.robots.state()
            efforts = controller.torques(state)
            told.append((before, state, efforts, copy.deepcopy(controller.state_dict())))
            walk.robots.step(efforts)
    return told


@pytest.mark.parametrize("num", [1, NUM, 64])
def test_torques_and_the_gait_are_those_of_torch(robots, steps, num):
    controller, many, lifts = by_kernels(robots.facts, num), rows(num), 0
    for before, state, efforts, after in steps[:: 5 if num == 64 else 1]:
        controller.load_state_dict({name: many(values) for name, values in before.items()})
        found = controller.torques(tree_map(many, state))
        torch.testing.assert_close(found, many(efforts), rtol=0.0, atol=5e-3)
        for name, values in controller.state_dict().items():
            torch.testing.assert_close(values, many(after[name]), rtol=0.0, atol=1e-5, msg=name)
        lifts += int((after["gait.is_swinging"] & ~before["gait.is_swinging"]).sum())
    assert lifts > NUM


def test_mirrored_states_give_mirrored_torques():
    walk = Walk(2, (0.3, 0.0, 0.0))
    for _ in range(40):
        walk.step()
    found, expected = mirrored_efforts(walk, is_fused=True)
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.3)


def test_robots_walk_by_kernels():
    walk = Walk(2, (0.3, 0.0, 0.0))
    start, _ = walk.robots.root()
    for _ in range(100):
        walk.step()
    assert not walk.robots.has_fallen.any()
    assert (np.linalg.norm(walk.robots.root()[0] - start, axis=1) > 0.1).all()


def test_a_broken_robot_has_no_torques_and_changes_no_other(robots, steps):
    before, state, _, _ = steps[-1]
    controller, efforts = by_kernels(robots.facts, NUM), []
    for is_broken in (False, True):
        controller.load_state_dict(before)
        if is_broken:
            state.link_rot[0] = torch.nan
        efforts.append(controller.torques(state))
    assert efforts[1][0].isnan().all()
    assert torch.equal(efforts[0][1:], efforts[1][1:])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_records_kernels_that_find_the_efforts_of_the_cpu():
    compare_gpu_with_cpu(MpcSettings())
