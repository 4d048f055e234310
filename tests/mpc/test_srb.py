import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.mpc_problems import G1, dense, random_problems
from rlmpc.mpc.predictive import Predictive
from rlmpc.mpc.settings import MpcSettings
from rlmpc.mpc.srb import GRAVITY, Problem, SingleRigidBody

STEP_S = 0.035


def nonlinear(state: Tensor, feet: Tensor, wrenches: Tensor) -> Tensor:
    """Return where a rigid body is after one step: whole rotations, its inertia turned with it, spin included."""
    angles, position, rate, velocity = state.split(3)
    inertia = torch.tensor(G1.inertia).double()
    rotation = about(2, angles[2]) @ about(1, angles[1]) @ about(0, angles[0])
    inertia_w = rotation @ inertia @ rotation.T
    torque = (torch.linalg.cross(feet - position, wrenches[:, :3]) + wrenches[:, 3:]).sum(0)
    spin = torch.linalg.cross(rate, inertia_w @ rate)
    turning = torch.linalg.solve(inertia_w, torque - spin)
    falling = wrenches[:, :3].sum(0) / G1.mass + torch.tensor([0.0, 0.0, -GRAVITY]).double()
    turned = STEP_S * rate + STEP_S**2 / 2 * turning
    after = torch.linalg.matrix_exp(skew(turned)) @ rotation
    new_angles = torch.stack(
        [
            torch.atan2(after[2, 1], after[2, 2]),
            -torch.asin(after[2, 0]),
            torch.atan2(after[1, 0], after[0, 0]),
        ]
    )
    moved = position + STEP_S * velocity + STEP_S**2 / 2 * falling
    return torch.cat([new_angles, moved, rate + STEP_S * turning, velocity + STEP_S * falling])


def about(axis: int, angle: Tensor) -> Tensor:
    unit = torch.eye(3).double()[axis]
    return torch.linalg.matrix_exp(skew(unit * angle))


def skew(vector: Tensor) -> Tensor:
    x, y, z = vector
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero]).view(3, 3)


def test_a_and_b_are_the_derivatives_of_the_nonlinear_model():
    """By central differences, about an upright body at rest at some yaw, on both feet that bear its weight."""
    predictive = Predictive(G1, MpcSettings(horizon=1, step_s=STEP_S), 1, "cpu", torch.float64)
    weight = G1.mass * GRAVITY
    state = torch.tensor([0.0, 0.0, 0.7, 2.0, -1.0, 0.62, *[0.0] * 6]).double()
    # The weight's line of action passes through the middle, so that nothing turns.
    feet = state[3:6] + torch.tensor([[0.1, 0.1, -0.62], [-0.1, -0.1, -0.62]]).double()
    wrenches = torch.zeros(2, 6).double()
    wrenches[:, 2] = weight / 2

    def linear(state: Tensor, wrenches: Tensor) -> Tensor:
        contacts, reference = torch.ones(1, 1, 2, dtype=torch.bool), torch.zeros(1, 1, 12).double()
        problem, turn = predictive.problem(base, feet.view(1, 1, 2, 3), contacts, reference, torch.ones(1).double())
        turn = turn.squeeze(0)
        inputs = (wrenches.view(4, 3) @ turn).view(1, 1, 12) / predictive.model.unit
        # The model is linearised at the base; its state is what varies.
        difference = (state - base[0]).clone()
        difference[3:] = (difference[3:].view(3, 3) @ turn).flatten()
        drift = predictive.model._states(difference[None], predictive.model.gravity.expand(1, 1, 6))
        after = predictive.model.predicted(problem._replace(drift=drift), inputs)[0, 0]
        after[3:] = (after[3:].view(3, 3) @ turn.T).flatten()
        return after + torch.cat([base[0, :6], torch.zeros(6).double()])

    base = state[None].clone()
    torch.testing.assert_close(linear(state, wrenches), nonlinear(state, feet, wrenches), rtol=0.0, atol=1e-9)
    for size, count, argument in ((1e-5, 12, 0), (1e-2, 12, 1)):
        for index in range(count):
            change = torch.zeros(12).double()
            change[index] = size
            if argument == 0:
                sides = [(state + sign * change, wrenches) for sign in (1, -1)]
            else:
                sides = [(state, wrenches + sign * change.view(2, 6)) for sign in (1, -1)]
            theirs = (nonlinear(sides[0][0], feet, sides[0][1]) - nonlinear(sides[1][0], feet, sides[1][1])) / size / 2
            ours = (linear(*sides[0]) - linear(*sides[1])) / size / 2
            if argument == 0 and 3 <= index < 6:
                # Moving the body above its feet turns it by its weight's lever, which the model takes as given.
                theirs, ours = theirs.view(4, 3)[[1, 3]], ours.view(4, 3)[[1, 3]]
            if argument == 0 and index < 2:
                # A body that leans has its inertia turned, but nothing turns it here.
                pass
            torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-7, msg=f"{argument} {index}\n{ours}\n{theirs}")


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
    np.testing.assert_allclose(model.cost(problem, inputs).numpy(), theirs, rtol=1e-9)


def test_the_gradient_is_that_of_the_cost(drawn):
    model, problem, _ = drawn
    inputs = torch.randn(8, 10, 12, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    (twice,) = torch.autograd.grad(model.cost(problem, inputs).sum(), inputs)
    torch.testing.assert_close(model.gradient(problem, inputs), twice / 2)
    at_zero = model.gradient(problem, torch.zeros_like(inputs))
    torch.testing.assert_close(at_zero, problem.linear)
