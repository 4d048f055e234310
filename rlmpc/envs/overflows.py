"""Says which limit of the solver was too small."""

from __future__ import annotations

import math
from collections.abc import Mapping

LIMITS = {
    "contacts": ("contacts per environment", "solver_cfg.nconmax"),
    "constraints": ("constraints per environment", "solver_cfg.njmax"),
    "triangles": ("triangles of the ground near shapes per environment", "collision_cfg.triangle_pairs_per_env"),
}
"""What buffers hold -> what that is in words, and the setting below `env.sim.physics` that limits it."""


def overflow_warnings(numbers: Mapping[str, float]) -> dict[str, str]:
    """Return a sentence for every limit that was exceeded, by what is limited; it names the demand, not the limit.

    Args:
        numbers: means of what `VecEnv.pop_metrics` returned; an environment without a solver has none of them.
    """
    return {
        name: f"the simulation needed {math.ceil(numbers[f'sim/{name}_peak'])} {what}, more than fit, "
        f"and dropped the excess: raise env.sim.physics.{setting}"
        for name, (what, setting) in LIMITS.items()
        if numbers.get(f"sim/{name}_overflows", 0.0) > 0.0
    }
