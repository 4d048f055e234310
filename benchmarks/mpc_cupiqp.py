"""Times the solver of the predictive controller beside cuPIQP, an interior-point method for many problems on a GPU.

`python benchmarks/mpc_cupiqp.py num_envs=[1,256,1024,4096]`, after `uv pip install --group cupiqp`; needs a GPU. Prints
a JSON line for each number of random problems and one for the recorded ones: milliseconds of a solve after an update
and of the update (the least of `repeats`, as the first ones compile), how the problems end, and how far the first
wrench is from ours, in body weights.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from torch import Tensor

from benchmarks.harness import Clock, device_name, print_line, settings
from benchmarks.mpc_problems import G1, Problems, random_problems, recorded_problems
from rlmpc.config.setting import check_settings, setting
from rlmpc.errors import UserError
from rlmpc.graphs import WARM_UPS, Replayed
from rlmpc.mpc.predictive import Predictive
from rlmpc.mpc.settings import MpcSettings
from rlmpc.mpc.srb import Problem
from rlmpc.run.command import run_command

LARGEST = 10.0
"""Bound of every input, far beyond those of a solution [body weights]."""
LEAST_CEILING = 1e-3
"""Ceiling of the force of a foot in the air: an interior-point method needs an interior [body weights]."""


@dataclass
class Arguments:
    """Arguments of the script."""

    num_envs: list[int] = setting([1, 256, 1024, 4096], least=1)
    recorded: int = setting(1000, least=0, most=1000)
    precision: str = setting("single", choices=("single", "double"))
    repeats: int = setting(6, least=1)


class Written(NamedTuple):
    """Minimise 1/2 u'Hu + linear'u with rows u <= 0 and low <= u <= high; u (B, 12 N) as the controller has it."""

    hessian: Tensor
    linear: Tensor
    rows: Tensor
    low: Tensor
    high: Tensor


def main(arguments: list[str]) -> None:
    """Run the comparison."""
    config = settings(Arguments, arguments)
    check_settings(config)
    if not torch.cuda.is_available():
        raise UserError("cuPIQP needs a GPU, and there is none")
    mpc = MpcSettings()
    kinds = [("random", random_problems(num, 0, mpc)) for num in config.num_envs]
    if config.recorded:
        kinds.append(("recorded", recorded_problems(config.recorded, mpc)))
    for kind, problems in kinds:
        line = {"problems": kind, "num": len(problems.state), "device": device_name("cuda")}
        print_line(line | compared(Problems(*(tensor.cuda() for tensor in problems)), mpc, config))


def compared(problems: Problems, mpc: MpcSettings, config: Arguments) -> dict[str, Any]:
    """Return the times of both solvers, and how far apart they end."""
    import warp
    from cupiqp import DenseSolver, Status  # pyright: ignore[reportMissingImports]  # not everywhere

    predictive = Predictive(G1, mpc, len(problems.state), "cuda")
    with torch.no_grad():
        problem, _ = predictive.problem(*problems)
        ours = predictive.solver(problem, predictive.start(problem)).inputs
    dtype = torch.float32 if config.precision == "single" else torch.float64
    dense = Written(*(tensor.to(dtype).contiguous() for tensor in written(predictive, problem)))
    changing = {"P": dense.hessian, "c": dense.linear, "G": dense.rows}
    solver = DenseSolver(dtype=warp.dtype_from_torch(dtype))
    solver.setup(**changing, h_u=torch.zeros_like(dense.rows[..., 0]), x_l=dense.low, x_u=dense.high)
    solver.solve()
    # Each update is followed by a solve, as in a controller.
    updates, solves = zip(
        *((timed(lambda: solver.update(**changing)), timed(solver.solve)) for _ in range(config.repeats)),
        strict=True,
    )
    theirs = warp.to_torch(solver.result.x).float().view_as(ours)
    apart = (theirs - ours)[:, 0].abs().amax(dim=1)
    recorded = Replayed(predictive.solve, torch.device("cuda"))
    for _ in range(WARM_UPS + 1):
        recorded(*problems)
    return {
        "cupiqp_ms": min(solves),
        "cupiqp_update_ms": min(updates),
        "ours_ms": min(timed(lambda: recorded(*problems)) for _ in range(config.repeats)),
        "ended": dict(Counter(Status(int(status)).name for status in solver.result.info.status.numpy())),
        "wrench_p50": apart.median().item(),
        "wrench_p95": apart.quantile(0.95).item(),
        "wrench_max": apart.max().item(),
    }


def timed(run: Callable[[], Any]) -> float:
    """Return the milliseconds that the device needs for it."""
    clock = Clock("cuda")
    run()
    return 1e3 * clock.pause()


def written(predictive: Predictive, problem: Problem) -> Written:
    """Write problems (B,) densely, with a mean curvature of 1: in other units some do not converge."""
    num, steps = problem.gains.shape[:2]
    hessian = torch.einsum("biac,aij,bjad->bicjd", problem.gains, predictive.model.curvature, problem.gains)
    hessian = hessian.reshape(num, 12 * steps, 12 * steps) + torch.diag(predictive.model.effort.repeat(steps))
    scale = hessian.diagonal(dim1=1, dim2=2).mean(dim=1)
    limits = predictive.cone.limits(problem)
    rows = torch.zeros(num, steps, 2, 2, 5, steps, 2, 6, device=hessian.device)
    high = torch.full((num, steps, 2, 6), LARGEST, device=hessian.device)
    high[..., 2] = limits.ceilings[..., 0].clamp(min=LEAST_CEILING)
    low = torch.full_like(high, -LARGEST)
    low[..., 2] = 0.0
    slopes = limits.slopes[:, 0, 0]
    for step in range(steps):
        for foot in range(2):
            for side, sign in enumerate((1.0, -1.0)):
                # A force along the ground or a moment, against the force down.
                for row, component in enumerate((0, 1, 3, 4, 5)):
                    rows[:, step, foot, side, row, step, foot, component] = sign
                    rows[:, step, foot, side, row, step, foot, 2] = -slopes[:, row]
    return Written(
        hessian / scale[:, None, None],
        problem.linear.flatten(1) / scale[:, None],
        rows.reshape(num, 20 * steps, 12 * steps),
        low.flatten(1),
        high.flatten(1),
    )


if __name__ == "__main__":
    run_command(main)
