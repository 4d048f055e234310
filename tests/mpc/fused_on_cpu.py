"""Runs the solver's GPU kernels by Triton's interpreter and prints how far they are from its torch code."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

# Triton asks for it when it is imported, which torch may do.
os.environ["TRITON_INTERPRET"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

from benchmarks.mpc_problems import G1, random_problems
from rlmpc.mpc import fused
from rlmpc.mpc.curvature import Curvature
from rlmpc.mpc.predictive import Predictive
from rlmpc.mpc.settings import MpcSettings


def main(horizon: int, is_broken: bool) -> None:
    """Print the largest differences, and which of two environments has finite inputs, of which one may be broken."""
    settings = MpcSettings(horizon=horizon, iterations=8, fused=False)
    predictive = Predictive(G1, settings, 2, "cpu")
    problem, _ = predictive.problem(*random_problems(2, 0, settings))
    if is_broken:
        problem.linear[0, 0, 2] = torch.nan
    solver, start = predictive.solver, predictive.start(problem)
    limits, diagonal = solver.cone.limits(problem), solver.model.effort + solver.penalty
    curvature = Curvature(solver.model, problem.gains, diagonal)
    inverse = fused.inverse_of_inner(solver.model.inverse_curvature, curvature.scaled, problem.gains)
    terms = solver.terms(problem, limits, curvature)
    found = fused.iterated(start, terms, solver.relaxation, solver.iterations)
    pairs = zip(found, solver._iterated(problem, limits, start), strict=True)
    line = {
        "inverse": float((inverse - curvature.inverse).abs().max() / curvature.inverse.abs().max()),
        "iterates": max(float((ours - theirs).abs().max()) for ours, theirs in pairs),
        "is_finite": found[0].isfinite().all((1, 2)).tolist(),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main(10, False)
    main(3, False)
    main(2, True)
