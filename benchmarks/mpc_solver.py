"""Compares the solver of the predictive controller with solvers of quadratic programmes.

`python benchmarks/mpc_solver.py figure=error.png`. Problems are random ones and those that robots met in MuJoCo; see
`benchmarks/mpc_problems.py`. Takes the settings of the controller besides its own, `Arguments`, and prints JSON lines:

- `against`: gap of the cost relative to that of another solver, error of the first wrench and violation of the
  constraints in body weights (moments: at an arm of 0.1 m), as 95th percentile and maximum, with the problems beyond
  the bounds of `BOUNDS` and those that the other solver `failed` on; and its milliseconds for one problem;
- `iterations`: the same against the first of the other solvers, for numbers of iterations; with `figure=PATH`, also
  drawn;
- `num_envs`: milliseconds of one solve of so many problems at once; on a GPU also of one that is recorded as a graph.

Without the other solvers (`against=[]`), times alone are measured, and their packages need not be there. Compare only
times that one command has measured.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch

from benchmarks.harness import Clock, device_name, print_line, settings, settings_among, spread
from benchmarks.mpc_problems import G1, Dense, Problems, dense, random_problems, recorded_problems
from rlmpc.config.setting import check_settings, setting
from rlmpc.graphs import WARM_UPS, Replayed, uses_graphs
from rlmpc.mpc.predictive import Predictive
from rlmpc.mpc.settings import MpcSettings
from rlmpc.mpc.srb import GRAVITY, MOMENT_ARM_M
from rlmpc.run.command import run_command

BOUNDS = {"gap": 1e-3, "wrench": 1e-2, "violation": 1e-3}
"""What a solve may be off; see above."""
PRECISE: dict[str, dict[str, Any]] = {
    "clarabel": {"tol_gap_abs": 1e-9, "tol_gap_rel": 1e-9, "tol_feas": 1e-9},
    "osqp": {"eps_abs": 1e-7, "eps_rel": 1e-7, "max_iter": 100_000, "polishing": True},
    "proxqp": {"eps_abs": 1e-8},
}
"""The other solvers, with options that make their error much smaller than the bounds."""


@dataclass
class Arguments:
    """Arguments of the script; all others are the controller's."""

    problems: list[str] = setting(["random", "recorded"], choices=("random", "recorded"))
    num: int = setting(1000, least=1, largest=10**6)
    """Problems of each kind; no more recorded ones than there are."""
    seed: int = setting(0, least=0)
    against: list[str] = setting(["clarabel", "osqp", "proxqp"], choices=tuple(PRECISE))
    compared: list[int] = setting([10, 20, 40, 60, 80, 100, 150], least=1, largest=1000)
    """Numbers of iterations."""
    num_envs: list[int] = setting([1, 16, 64], least=1)
    repeats: int = setting(20, least=1)
    device: str = "cpu"
    figure: str = ""


def main(arguments: list[str]) -> None:
    """Run the comparison."""
    config, others = settings_among(Arguments, arguments)
    mpc = settings(MpcSettings, others)
    check_settings(config)
    torch.set_num_threads(1)
    curves = {}
    for kind in config.problems if config.against else []:
        problems = (
            random_problems(config.num, config.seed, mpc) if kind == "random" else recorded_problems(config.num, mpc)
        )
        written = [dense(problems.rows(slice(i, i + 1)), G1, mpc) for i in range(len(problems.state))]
        found = solved(problems, mpc, config.device)
        best = {}
        for name in config.against:
            best[name], seconds = reference_solutions(written, name)
            line = {"problems": kind, "against": name, "num": len(written)}
            print_line(line | errors(found, best[name], written) | {"other_ms": 1e3 * seconds / len(written)})
        if config.compared:
            curves[kind] = sweep(problems, mpc, config, best[config.against[0]], written)
            for line in curves[kind]:
                print_line({"problems": kind} | line)
    if config.figure and curves:
        draw(curves, config.figure)
    for num_envs in config.num_envs:
        print_line({"num_envs": num_envs, "device": device_name(config.device)} | times(num_envs, mpc, config))


def solved(problems: Problems, mpc: MpcSettings, device: str = "cpu") -> np.ndarray:
    """Return the controller's inputs (B, 12 N), in N and N m in the yaw frame, at a cold start."""
    predictive = Predictive(G1, mpc, len(problems.state), device)
    problem, _ = predictive.problem(*(tensor.to(device) for tensor in problems))
    with torch.no_grad():
        inputs = predictive.solver(problem, predictive.start(problem)).inputs * predictive.model.unit
    return inputs.flatten(1).double().cpu().numpy()


def reference_solutions(written: list[Dense], name: str) -> tuple[np.ndarray, float]:
    """Return another solver's inputs (B, 12 N), no numbers where it gave up, and the seconds that it took for all.

    It gets the problem in the controller's units, with a mean curvature of 1: in others some do not converge.
    """
    # Not everywhere: times need neither.
    import qpsolvers
    from scipy.sparse import csc_matrix

    weight = G1.mass * GRAVITY
    found, seconds = [], 0.0
    for problem in written:
        unit = np.tile([weight] * 3 + [weight * MOMENT_ARM_M] * 3, len(problem.gradient) // 6)
        hessian, rows = problem.hessian * unit[:, None] * unit, problem.rows * unit / weight
        scale = 1.0 / hessian.diagonal().mean()
        arguments = (csc_matrix(hessian * scale), problem.gradient * unit * scale, csc_matrix(rows))
        since = time.perf_counter()
        inputs = qpsolvers.solve_qp(*arguments, problem.limits / weight, solver=name, **PRECISE[name])
        seconds += time.perf_counter() - since
        found.append(unit * (np.nan if inputs is None else inputs))
    return np.array(found), seconds


def errors(found: np.ndarray, best: np.ndarray, written: list[Dense]) -> dict[str, Any]:
    """Return how far inputs (B, 12 N) are from the best ones, where there are any; `failed` counts where not."""
    known = np.isfinite(best).all(1)
    found, best = found[known], best[known]
    written = [problem for problem, is_known in zip(written, known, strict=True) if is_known]
    weight = G1.mass * GRAVITY
    costs = np.array(
        [[problem.cost(row), problem.cost(other)] for problem, row, other in zip(written, found, best, strict=True)]
    )
    unit = np.tile([weight] * 3 + [weight * MOMENT_ARM_M] * 3, 2)
    each = {
        "gap": np.abs(costs[:, 0] / costs[:, 1] - 1.0),
        "wrench": np.abs((found - best)[:, :12] / unit).max(1),
        "violation": np.array([problem.violation(row) for problem, row in zip(written, found, strict=True)]) / weight,
    }
    result: dict[str, Any] = {"failed": int((~known).sum())}
    for name, values in each.items():
        result |= {f"{name}_p95": f"{np.quantile(values, 0.95):.1e}", f"{name}_max": f"{values.max():.1e}"}
        result[f"{name}_beyond"] = int((values > BOUNDS[name]).sum())
    return result


def sweep(
    problems: Problems, mpc: MpcSettings, config: Arguments, best: np.ndarray, written: list[Dense]
) -> list[dict[str, Any]]:
    """Return the errors for numbers of iterations."""
    lines = []
    for iterations in config.compared:
        found = solved(problems, replace(mpc, iterations=iterations), config.device)
        lines.append({"iterations": iterations} | errors(found, best, written))
    return lines


def times(num_envs: int, mpc: MpcSettings, config: Arguments) -> dict[str, float]:
    """Return the milliseconds of one solve of so many environments, on a GPU also as a recorded graph."""
    predictive = Predictive(G1, mpc, num_envs, config.device)
    problems = [tensor.to(config.device) for tensor in random_problems(num_envs, config.seed, mpc)]
    ways: dict[str, Callable[..., Any]] = {"solve_ms": predictive.solve}
    if uses_graphs(torch.device(config.device)):
        ways["recorded_ms"] = Replayed(predictive.solve, torch.device(config.device))
    clock, line = Clock(config.device), {}
    for name, solve in ways.items():
        taken = []
        for _ in range(WARM_UPS + 1 + config.repeats):
            clock.restart()
            solve(*problems)
            taken.append(1e3 * clock.pause())
        line |= spread(name, taken[WARM_UPS + 1 :])
    return line


def draw(curves: dict[str, list[dict[str, Any]]], path: str) -> None:
    """Draw the errors against iterations into a file."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(curves), 2, figsize=(9, 3.2 * len(curves)), constrained_layout=True, squeeze=False)
    for row, (kind, lines) in zip(axes, curves.items(), strict=True):
        for axis, name in zip(row, ("gap", "wrench"), strict=True):
            for measure, style in (("p95", "-"), ("max", "--")):
                y = [float(line[f"{name}_{measure}"]) for line in lines]
                axis.loglog([line["iterations"] for line in lines], y, style, color="C0", label=measure)
            axis.axhline(BOUNDS[name], color="grey", linewidth=0.8)
            axis.set_title(f"{kind}: {'cost gap' if name == 'gap' else 'first wrench [body weights]'}", fontsize=10)
            axis.set_xlabel("iterations")
            axis.grid(alpha=0.3)
    axes.flat[0].legend(fontsize=8)
    figure.savefig(path, dpi=90)
    plt.close(figure)


if __name__ == "__main__":
    run_command(main)
