import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.mpc_problems import G1, dense, random_problems
from rlmpc.mpc.predictive import Predictive
from rlmpc.mpc.settings import MpcSettings
from rlmpc.mpc.srb import GRAVITY, Problem, SingleRigidBody

STEP_S = 0.035


def nonlinear(both: Tensor, feet: Tensor) -> Tensor:
    """Return the state (12,) of a rigid body after one step: whole rotations, its inertia turned with it, its spin.

    Args:
        both: state and wrenches (24,).
        feet: (2, 3).
    """
    angles, position, rate, velocity = both[:12].split(3)
    force, moment = both[12:].view(2, 6).split(3, dim=1)
    rotation = about(2, angles[2]) @ about(1, angles[1]) @ about(0, angles[0])
    inertia = rotation @ torch.tensor(G1.inertia, dtype=torch.float64) @ rotation.T
    torque = (torch.linalg.cross(feet - position, force) + moment).sum(0)
    turning = torch.linalg.solve(inertia, torque - torch.linalg.cross(rate, inertia @ rate))
    falling = force.sum(0) / G1.mass - GRAVITY * torch.eye(3, dtype=torch.float64)[2]
    after = torch.linalg.matrix_exp(skew(STEP_S * rate + STEP_S**2 / 2 * turning)) @ rotation
    roll, yaw = torch.atan2(after[2, 1], after[2, 2]), torch.atan2(after[1, 0], after[0, 0])
    moved = position + STEP_S * velocity + STEP_S**2 / 2 * falling
    new_angles = torch.stack([roll, -torch.asin(after[2, 0]), yaw])
    return torch.cat([new_angles, moved, rate + STEP_S * turning, velocity + STEP_S * falling])


def about(axis: int, angle: Tensor) -> Tensor:
    return torch.linalg.matrix_exp(skew(torch.eye(3, dtype=torch.float64)[axis] * angle))


def skew(vector: Tensor) -> Tensor:
    x, y, z = vector
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero]).view(3, 3)


def test_a_and_b_are_the_derivatives_of_the_nonlinear_model():
    """By central differences, about an upright body at rest on two feet that bear its weight, in the yaw frame."""
    model = SingleRigidBody(G1, MpcSettings(horizon=1, step_s=STEP_S))
    # The weight's line of action passes through the middle, so that nothing turns.
    levers = torch.tensor([[0.1, 0.1, -0.62], [-0.1, -0.1, -0.62]], dtype=torch.float64)
    contacts, reference = torch.ones(1, 1, 2, dtype=torch.bool), torch.zeros(1, 1, 12, dtype=torch.float64)

    def linear(both: Tensor) -> Tensor:
        state, wrenches = both.split(12)
        problem = model.condense(state[None], levers[None, None], contacts, reference, torch.ones(1))
        return model.predicted(problem, (wrenches / model.unit)[None, None])[0, 0]

    base = torch.zeros(24, dtype=torch.float64)
    base[[14, 20]] = G1.mass * GRAVITY / 2
    torch.testing.assert_close(linear(base), nonlinear(base, levers), rtol=0.0, atol=1e-12)
    for index in range(24):
        change = torch.zeros_like(base)
        change[index] = 1e-5 if index < 12 else 1e-2
        ours, theirs = (
            (model(base + change) - model(base - change)) / change.sum() / 2
            for model in (linear, lambda both: nonlinear(both, levers))
        )
        if 3 <= index < 6:
            # A body that moves over its feet is turned by its weight; the model takes the levers as given.
            ours, theirs = ours.view(4, 3)[[1, 3]], theirs.view(4, 3)[[1, 3]]
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-8)


@pytest.fixture
def drawn() -> tuple[SingleRigidBody, Problem, list]:
    settings = MpcSettings()
    problems = random_problems(8, 1, settings)
    predictive = Predictive(G1, settings, 8, "cpu", torch.float64)
    problem, _ = predictive.problem(*problems.doubled())
    written = [dense(problems.rows(slice(i, i + 1)), G1, settings) for i in range(8)]
    return predictive.model, problem, written


def test_the_cost_is_that_of_the_problem_written_densely(drawn):
    model, problem, written = drawn
    inputs = torch.randn(8, 10, 12, generator=torch.Generator().manual_seed(0)).double()
    theirs = [other.cost((row * model.unit).flatten().numpy()) for other, row in zip(written, inputs, strict=True)]
    np.testing.assert_allclose(model.cost(problem, inputs, model.predicted(problem, inputs)).numpy(), theirs, rtol=1e-9)


def test_the_gradient_is_that_of_the_cost(drawn):
    model, problem, _ = drawn
    inputs = torch.randn(8, 10, 12, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    states = model.predicted(problem, inputs)
    (twice,) = torch.autograd.grad(model.cost(problem, inputs, states).sum(), inputs)
    torch.testing.assert_close(model.gradient(problem, inputs, states), twice / 2)
    zero = torch.zeros_like(inputs)
    at_zero = model.gradient(problem, zero, model.predicted(problem, zero))
    torch.testing.assert_close(at_zero, problem.linear)
