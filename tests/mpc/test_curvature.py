import torch

from benchmarks.mpc_problems import G1, random_problems
from rlmpc.mpc.curvature import Curvature, most_curvature
from rlmpc.mpc.predictive import Predictive
from rlmpc.mpc.settings import MpcSettings


def test_the_inverse_is_that_of_the_full_matrix():
    predictive = Predictive(G1, MpcSettings(), 3, "cpu", torch.float64)
    problem, _ = predictive.problem(*random_problems(3, 0, predictive.settings).doubled())
    model, gains = predictive.model, problem.gains
    for diagonal in (model.effort, torch.rand(12).double() + 0.1):
        full = torch.einsum("bjic,ijk,bkid->bjckd", gains, model.curvature, gains).reshape(3, 120, 120)
        full = full + torch.diag(diagonal.repeat(10))
        right = torch.randn(3, 10, 12).double()
        found = Curvature(model, gains, diagonal).solve(right)
        torch.testing.assert_close((full @ found.flatten(1)[..., None]).view_as(right), right, rtol=1e-8, atol=1e-7)


def test_the_most_curvature_is_the_largest_eigenvalue_of_the_full_matrix_over_the_efforts():
    model = Predictive(G1, MpcSettings(horizon=4), 1, "cpu", torch.float64).model
    levers = torch.tensor([[0.1, 0.1, -0.62], [-0.1, -0.1, -0.62]], dtype=torch.float64)
    gains = model.gains(levers)
    full = torch.einsum("ic,ijk,id->jckd", gains, model.curvature, gains).reshape(48, 48)
    scale = model.effort.repeat(4).rsqrt()
    most = torch.linalg.eigvalsh(scale[:, None] * full * scale)[-1] + 1.0
    torch.testing.assert_close(most_curvature(model, levers), most)
