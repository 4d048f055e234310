"""Says which limit of the solver was too small."""

from __future__ import annotations

import math
from collections.abc import Mapping

LIMITS = {"contacts": "nconmax", "constraints": "njmax"}
"""What the solver's buffers hold -> the setting below `env.sim.physics.solver_cfg` that limits it."""


def overflow_warnings(numbers: Mapping[str, float]) -> dict[str, str]:
    """Return a sentence for every limit that was exceeded, by what is limited.

    Args:
        numbers: means of what `VecEnv.pop_metrics` returned; an environment without a solver has none of them.
    """
    return {
        name: f"the simulation needed {math.ceil(numbers[f'sim/{name}_peak'])} {name} per environment, more than fit, "
        f"and dropped the excess: raise env.sim.physics.solver_cfg.{setting}"
        for name, setting in LIMITS.items()
        if numbers.get(f"sim/{name}_overflows", 0.0) > 0.0
    }
