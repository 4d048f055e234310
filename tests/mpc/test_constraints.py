import numpy as np
import pytest
import qpsolvers
import torch

from benchmarks.mpc_problems import G1, random_problems
from rlmpc.mpc.constraints import FootCone, Limits, join, project, split
from rlmpc.mpc.settings import MpcSettings

SETTINGS = MpcSettings(horizon=4)
WEIGHTS = torch.tensor([3.0, 2.0, 1.0, 0.5, 0.4, 2.0], dtype=torch.float64).repeat(2)


@pytest.fixture
def limits() -> Limits:
    """Of two environments of different friction; a foot in six swings."""
    slopes = torch.tensor([[0.3, 0.3, 0.2, 0.7, 0.4], [0.8, 0.8, 0.2, 0.7, 0.4]], dtype=torch.float64)
    torch.manual_seed(0)
    ceilings = 2.0 * (torch.rand(2, 4, 2, 1) > 1 / 6).double()
    return Limits(slopes[:, None, None], ceilings)


def drawn() -> torch.Tensor:
    return torch.randn(2, 4, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 2.0


def test_inputs_split_and_join():
    inputs = torch.arange(24.0).view(2, 12)
    normal, others = split(inputs)
    assert normal.flatten().tolist() == [2, 8, 14, 20]
    assert torch.equal(join(normal, others), inputs)


def test_the_projection_is_the_nearest_feasible_wrench(limits):
    """Found by a solver of quadratic programmes, foot by foot."""
    inputs, found = drawn(), project(drawn(), limits, WEIGHTS).unflatten(-1, (2, 6))
    for index in np.ndindex(2, 4, 2):
        wrench, slopes = inputs.unflatten(-1, (2, 6))[index].numpy(), limits.slopes[index[0]].flatten().numpy()
        rows = np.concatenate([np.eye(6), -np.eye(6)])
        rows[:, 2] -= np.tile([*slopes[:2], 0.0, *slopes[2:]], 2)
        most = np.zeros(12)
        most[2] = limits.ceilings[index].item()
        weights = WEIGHTS[:6].numpy()
        best = qpsolvers.solve_qp(np.diag(weights), -weights * wrench, rows, most, solver="proxqp", eps_abs=1e-10)
        assert best is not None
        np.testing.assert_allclose(found[index].numpy(), best, atol=1e-7)


def test_what_is_feasible_stays(limits):
    once = project(drawn(), limits, WEIGHTS)
    torch.testing.assert_close(project(once, limits, WEIGHTS), once, rtol=0.0, atol=1e-14)


def test_the_cone_is_that_of_sole_friction_and_ceiling():
    problems = random_problems(3, 0, SETTINGS)
    cone = FootCone(G1, SETTINGS).float()
    limits = cone.limits(problems)  # pyright: ignore[reportArgumentType]
    moments = [0.85 * 0.03 / 0.1, 0.85 * 0.09 / 0.1, 0.04 / 0.1]
    for slopes, friction in zip(limits.slopes, problems.friction.tolist(), strict=True):
        assert slopes.flatten().tolist() == pytest.approx([friction, friction, *moments])
    assert torch.equal(limits.ceilings.squeeze(-1), 2.0 * problems.contacts)
