import torch

from benchmarks.mpc_problems import G1, random_problems
from rlmpc.mpc.curvature import Curvature
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
