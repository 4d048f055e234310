"""Numbers must be positive where they have to be, and ranges in order."""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

from rlmpc.tasks.checks.fields import GENERATOR, fields_at

_POSITIVE = (
    "action_limit",
    "upper_body_scale",
    "decimation",
    "episode_length_s",
    "sim.dt",
    "sim.physics.num_substeps",
    "sim.physics.solver_cfg.njmax",
    "sim.physics.solver_cfg.nconmax",
    f"{GENERATOR}.num_rows",
    f"{GENERATOR}.num_cols",
    f"{GENERATOR}.size",
    f"{GENERATOR}.horizontal_scale",
    f"{GENERATOR}.vertical_scale",
    "scene.height_scanner.max_distance",
    "scene.height_scanner.pattern_cfg.resolution",
    "actions.gait_cycle.period_range_s",
    "commands.base_velocity.resampling_time_range",
    "commands.base_velocity.averaging_time_s",
    "curriculum.penalty_scale.params.full_share",
    "rewards.velocity_along_command.params.min_speed",
    "rewards.velocity_along_command.params.stand_speed",
    "rewards.sole_overhang.params.depth",
    "sim.physics.collision_cfg.triangle_pairs_per_env",
)

_NOT_NEGATIVE = (
    f"{GENERATOR}.border_width",
    "scene.terrain.max_init_terrain_level",
    "scene.height_scanner.pattern_cfg.size",
    "scene.contact_forces.history_length",
    "events.push.interval_range_s",
    "curriculum.terrain_levels.params.min_speed",
    "curriculum.terrain_levels.params.min_distance",
    "curriculum.terrain_levels.params.down_share",
    "curriculum.terrain_levels.params.mastered_level",
    "curriculum.command_ranges.params.step",
    "curriculum.penalty_scale.params.start",
    "rewards.swing_clearance.params.height",
    "rewards.sole_overhang.params.margin",
)

_NOT_ABOVE: dict[str, float | str] = {
    "curriculum.terrain_levels.params.down_share": "curriculum.terrain_levels.params.up_share",
    "curriculum.penalty_scale.params.start": 1.0,
}
"""Fields -> the number, or the field that holds it, which they must not exceed."""


def check_numbers(cfg: Any) -> None:
    """Refuse numbers outside their valid range, and ranges that end before they begin.

    Raises:
        ValueError: If there are any, with the number and what is accepted.
    """
    for paths, accepts, accepted in (
        (_POSITIVE, lambda number: 0.0 < number < math.inf, "above 0"),
        (_NOT_NEGATIVE, lambda number: 0.0 <= number < math.inf, "at least 0"),
    ):
        for path, value in fields_at(cfg, paths):
            numbers = value if isinstance(value, tuple) else (value,)
            if value is not None and not all(map(accepts, numbers)):
                raise ValueError(f"{path} must be {accepted}, not {value}")
    for path, value in fields_at(cfg, tuple(_NOT_ABOVE)):
        bound = _NOT_ABOVE[path]
        most = dict(fields_at(cfg, (bound,)))[bound] if isinstance(bound, str) else bound
        if value is None or most is None or not value <= most:
            raise ValueError(f"{path} must be at most {most}, not {value}")
    for section in ("events", "commands"):
        for path, (low, high) in _ranges(getattr(cfg, section), section):
            if not low <= high:
                raise ValueError(f"the range {path} must not end before it begins: {(low, high)}")


def _ranges(node: Any, path: str) -> Iterator[tuple[str, tuple[float, float]]]:
    """Yield the ranges (lower and upper end) below a part of the configuration, recognised by their paths."""
    if isinstance(node, tuple | list):
        is_pair = len(node) == 2 and all(isinstance(number, int | float) for number in node)
        if is_pair and any(word in path for word in ("range", "distribution", "forward_velocity")):
            yield path, (node[0], node[1])
        return
    fields = node if isinstance(node, dict) else vars(node) if dataclasses.is_dataclass(node) else {}
    for name, value in fields.items():
        yield from _ranges(value, f"{path}.{name}")
