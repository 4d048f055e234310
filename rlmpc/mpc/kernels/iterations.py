"""Iterations of the solver on the CPU, a robot a thread; `rlmpc.mpc.admm` and `constraints` are the reference."""

# Warp compiles its kernels from the source; as Python, their types do not fit.
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportIndexIssue=false
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false, reportAssignmentType=false, reportInvalidTypeForm=false

from typing import Any

import torch
import warp as wp

from rlmpc.mpc.admm import Iterate, Terms
from rlmpc.mpc.kernels.launching import launch

_Other: Any = wp.types.vector(5, wp.float32)
"""fx, fy, mx, my, mz of a foot."""
_ARMS = wp.constant(5)


def iterated(start: Iterate, terms: Terms, relaxation: float, iterations: int) -> Iterate:
    """Return the projected inputs and the multipliers after so many iterations with this over-relaxation."""
    end, inverse = Iterate(*(values.clone() for values in start)), terms.inverse
    right, inner, outer = torch.empty_like(end.inputs), *(inverse.new_empty(inverse.shape[:2]) for _ in range(2))
    place = (len(inverse),), inverse.device
    launch(_iterate, *place, *terms, relaxation, iterations, *end, right, inner, outer)
    return end


@wp.func
def _between(value: float, low: float, high: float) -> float:
    """Return a value within bounds; what is not a number stays so."""
    if value < low:
        return low
    if value > high:
        return high
    return value


@wp.func
def _normal_force(given: float, others: _Other, slopes: _Other, weight: float, pulls: _Other, ceiling: float) -> float:
    """Return the normal force of the nearest wrench of a foot; see `rlmpc.mpc.constraints.project`."""
    total, pull = weight * given, weight
    for i in range(_ARMS):
        need = wp.abs(others[i]) / slopes[i]
        rise = weight * (need - given)
        for j in range(_ARMS):
            rise -= pulls[j] * wp.max(wp.abs(others[j]) / slopes[j] - need, 0.0)
        # Times zero, not left out: what is not a number stays so.
        share = pulls[i] * float(rise > 0.0)
        total += share * need
        pull += share
    return _between(total / pull, 0.0, ceiling)


@wp.func
def _project(
    env: int,
    step: int,
    foot: int,
    slopes: _Other,
    weights: wp.array1d[float],
    ceiling: float,
    inputs: wp.array3d[float],
    multipliers: wp.array3d[float],
):
    """Take what the multipliers hold of a foot to its nearest wrench; the multipliers keep the difference."""
    first = 6 * foot
    others = _Other()
    pulls = _Other()
    for arm in range(_ARMS):
        j = first + wp.where(arm < 2, arm, arm + 1)
        others[arm] = multipliers[env, step, j]
        pulls[arm] = weights[j] * slopes[arm] * slopes[arm]
    normal = first + 2
    force = _normal_force(multipliers[env, step, normal], others, slopes, weights[normal], pulls, ceiling)
    inputs[env, step, normal] = force
    for arm in range(_ARMS):
        most = slopes[arm] * force
        inputs[env, step, first + wp.where(arm < 2, arm, arm + 1)] = _between(others[arm], -most, most)
    for j in range(6):
        multipliers[env, step, first + j] = multipliers[env, step, first + j] - inputs[env, step, first + j]


@wp.kernel(enable_backward=False)
def _iterate(
    linear: wp.array3d[float],
    scaled: wp.array4d[float],
    inverse: wp.array3d[float],
    diagonal: wp.array1d[float],
    penalty: wp.array1d[float],
    slopes: wp.array1d[_Other],
    ceilings: wp.array3d[float],
    relaxation: float,
    iterations: int,
    inputs: wp.array3d[float],
    multipliers: wp.array3d[float],
    right: wp.array3d[float],
    inner: wp.array2d[float],
    outer: wp.array2d[float],
):
    env = wp.tid()
    steps = linear.shape[1]
    size = inverse.shape[1]
    for _ in range(iterations):
        for n in range(steps):
            for j in range(12):
                right[env, n, j] = penalty[j] * (inputs[env, n, j] - multipliers[env, n, j]) - linear[env, n, j]
            for k in range(6):
                row = wp.float32(0.0)
                for j in range(12):
                    row += scaled[env, n, k, j] * right[env, n, j]
                inner[env, 6 * n + k] = row
        for i in range(size):
            # Six sums that do not wait for each other.
            sums = wp.spatial_vector()
            for n in range(steps):
                for k in range(6):
                    sums[k] += inverse[env, i, 6 * n + k] * inner[env, 6 * n + k]
            outer[env, i] = sums[0] + sums[1] + sums[2] + sums[3] + sums[4] + sums[5]
        for n in range(steps):
            for j in range(12):
                free = right[env, n, j] / diagonal[j]
                for k in range(6):
                    free -= scaled[env, n, k, j] * outer[env, 6 * n + k]
                moved = inputs[env, n, j] + relaxation * (free - inputs[env, n, j])
                multipliers[env, n, j] = moved + multipliers[env, n, j]
            for foot in range(2):
                _project(env, n, foot, slopes[env], penalty, ceilings[env, n, foot], inputs, multipliers)
