"""Refuses configurations from which no simulation can be made, before anything starts.

Sections must be there, numbers positive, ranges in order, observations flat, every kind of terrain must have a place,
and what terms read by name must be switched on.
"""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

from isaaclab.managers import ManagerTermBaseCfg, ObservationGroupCfg, RewardTermCfg, SceneEntityCfg
from isaaclab.terrains import TerrainGeneratorCfg

from rlmpc.tasks.terms import terms
from rlmpc.tasks.terrains import columns_of_kinds

_GENERATOR = "scene.terrain.terrain_generator"

_REQUIRED = (
    "sim",
    "sim.physics",
    "sim.physics.solver_cfg",
    "sim.physics.default_shape_cfg",
    "scene",
    "scene.terrain",
    _GENERATOR,
    f"{_GENERATOR}.sub_terrains",
    "scene.robot",
    "scene.robot.spawn",
    "scene.robot.init_state",
    "scene.robot.actuators",
    "scene.height_scanner.offset",
    "scene.height_scanner.pattern_cfg",
    "observations",
    "actions",
    "actions.mpc",
    "commands.base_velocity.ranges",
    "commands.base_velocity.limits",
    "rewards",
    "terminations",
    # Without these, nothing resets a fallen robot.
    "events",
    "events.reset_root",
    "events.reset_joints",
)
"""Fields that cannot be None, except inside a section that is itself None and may be."""

_POSITIVE = (
    "action_limit",
    "upper_body_scale",
    "decimation",
    "episode_length_s",
    "sim.dt",
    "sim.physics.num_substeps",
    "sim.physics.solver_cfg.njmax",
    "sim.physics.solver_cfg.nconmax",
    f"{_GENERATOR}.num_rows",
    f"{_GENERATOR}.num_cols",
    f"{_GENERATOR}.size",
    f"{_GENERATOR}.horizontal_scale",
    f"{_GENERATOR}.vertical_scale",
    "scene.height_scanner.max_distance",
    "scene.height_scanner.pattern_cfg.resolution",
    "actions.gait_cycle.period_range_s",
    "commands.base_velocity.resampling_time_range",
    "commands.base_velocity.averaging_time_s",
    "curriculum.penalty_scale.params.full_share",
    "rewards.velocity_along_command.params.min_speed",
    "rewards.velocity_along_command.params.stand_speed",
    "sim.physics.collision_cfg.triangle_pairs_per_env",
)

_NOT_NEGATIVE = (
    f"{_GENERATOR}.border_width",
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
)

_NOT_ABOVE: dict[str, float | str] = {
    "curriculum.terrain_levels.params.down_share": "curriculum.terrain_levels.params.up_share",
    "curriculum.penalty_scale.params.start": 1.0,
}
"""Fields -> the number, or the field that holds it, which they must not exceed."""

_FLAT_LAYOUT = {
    "concatenate_terms": True,
    "concatenate_dim": -1,
    "flatten_history_dim": True,
    "history_order": "term",
}
"""Fields of observation groups and terms -> the only value with which a group is one flat vector, term by term."""

_SECTION_OF_PARAMETER = {
    "command_name": "commands",
    "action_name": "actions",
    "_reward": "rewards",
    "_termination": "terminations",
}
"""Ending of a parameter's name -> part of the configuration whose terms its value names."""


def check_sections(cfg: Any) -> None:
    """Refuse a configuration that lacks a section the simulation needs, has one without a term, or has no tiles.

    Raises:
        ValueError: If it does, with the section.
    """
    for path, value in _fields(cfg, _REQUIRED):
        if value is None:
            raise ValueError(f"env.{path} cannot be switched off")
    if cfg.scene.terrain.terrain_type != "generator":
        raise ValueError(f"scene.terrain.terrain_type must be generator, not {cfg.scene.terrain.terrain_type}")
    groups = {f"observations.{name}": group for name, group in vars(cfg.observations).items() if group is not None}
    if not groups:
        raise ValueError("env.observations needs at least one group")
    for path, section in {"rewards": cfg.rewards, "terminations": cfg.terminations, **groups}.items():
        if not any(isinstance(term, ManagerTermBaseCfg) for term in vars(section).values()):
            raise ValueError(f"env.{path} needs at least one term")


def check_numbers(cfg: Any) -> None:
    """Refuse numbers outside their valid range, and ranges that end before they begin.

    Raises:
        ValueError: If there are any, with the number and what is accepted.
    """
    for paths, accepts, accepted in (
        (_POSITIVE, lambda number: 0.0 < number < math.inf, "above 0"),
        (_NOT_NEGATIVE, lambda number: 0.0 <= number < math.inf, "at least 0"),
    ):
        for path, value in _fields(cfg, paths):
            numbers = value if isinstance(value, tuple) else (value,)
            if value is not None and not all(map(accepts, numbers)):
                raise ValueError(f"{path} must be {accepted}, not {value}")
    for path, value in _fields(cfg, tuple(_NOT_ABOVE)):
        bound = _NOT_ABOVE[path]
        most = dict(_fields(cfg, (bound,)))[bound] if isinstance(bound, str) else bound
        if value is None or most is None or not value <= most:
            raise ValueError(f"{path} must be at most {most}, not {value}")
    for section in ("events", "commands"):
        for path, (low, high) in _ranges(getattr(cfg, section), section):
            if not low <= high:
                raise ValueError(f"the range {path} must not end before it begins: {(low, high)}")


def check_observations(observations: Any) -> None:
    """Refuse observation groups that would not be one flat vector, term by term, each from oldest to newest frame.

    Raises:
        ValueError: If there is one, with the field and the value it must have.
    """
    for path, node in _groups_and_terms(observations):
        for name, needed in _FLAT_LAYOUT.items():
            if getattr(node, name, needed) != needed:
                raise ValueError(f"{path}.{name} must be {needed}, not {getattr(node, name)}")
        if (node.history_length or 0) < 0:
            raise ValueError(f"{path}.history_length must be at least 0, not {node.history_length}")


def check_terrain(generator: TerrainGeneratorCfg) -> None:
    """Refuse kinds of terrain that cannot be built or would have no place in the grid.

    Isaac Lab silently leaves out a kind without a column. A kind of our own has a method `check`.

    Raises:
        ValueError: If there is one, with its name.
    """
    for name, kind in generator.sub_terrains.items():
        if kind is None or not 0.0 <= kind.proportion < math.inf:
            raise ValueError(f"the terrain {name} needs a proportion of at least 0; a proportion of 0 leaves it out")
        check = getattr(kind, "check", None)
        if check is not None:
            check()
    wanted = [name for name, kind in generator.sub_terrains.items() if kind.proportion > 0.0]
    if not wanted:
        raise ValueError("terrain needs at least one kind with a proportion above 0")
    placed = columns_of_kinds(generator) if generator.curriculum else wanted
    for name in wanted:
        if name not in placed:
            raise ValueError(
                f"{_GENERATOR}.num_cols of {generator.num_cols} leaves no column for the terrain {name}; "
                "give it more columns, or leave the kind out with a proportion of 0"
            )


def check_references(cfg: Any) -> None:
    """Refuse a configuration in which a term reads another one that is switched off.

    The simulation would end in a traceback or, for a reward of weight 0, silently read zeros.

    Raises:
        ValueError: If there is one, with what is missing and the overrides that switch off the terms that read it.
    """
    readers: dict[str, list[str]] = {}
    for reader, _, _, term in terms(cfg):
        for section, name in _references(term):
            if not _is_on(getattr(getattr(cfg, section), name, None)):
                readers.setdefault(f"env.{section}.{name}", []).append(f"env.{reader}=null")
    if readers:
        missing, overrides = next(iter(readers.items()))
        raise ValueError(f"{missing} is switched off but still read; switch its readers off too: {' '.join(overrides)}")


def _fields(cfg: Any, paths: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Yield each of some fields whose section exists and is not switched off, with its value."""
    for path in paths:
        *parents, name = path.split(".")
        owner = cfg
        for parent in parents:
            owner = owner.get(parent) if isinstance(owner, dict) else getattr(owner, parent, None)
        fields = owner if isinstance(owner, dict) else getattr(owner, "__dict__", {})
        if name in fields:
            yield path, fields[name]


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


def _groups_and_terms(observations: Any) -> Iterator[tuple[str, Any]]:
    for name, group in vars(observations).items():
        if isinstance(group, ObservationGroupCfg):
            path = f"observations.{name}"
            yield path, group
            for term_name, term in vars(group).items():
                if isinstance(term, ManagerTermBaseCfg):
                    yield f"{path}.{term_name}", term


def _references(term: ManagerTermBaseCfg) -> Iterator[tuple[str, str]]:
    """Yield what a term reads: part of the configuration, and name in it."""
    for parameter, value in term.params.items():
        if isinstance(value, SceneEntityCfg):
            yield "scene", value.name
        for ending, section in _SECTION_OF_PARAMETER.items():
            if parameter.endswith(ending):
                yield section, str(value)


def _is_on(term: object) -> bool:
    """Return whether a term can be read; a reward of weight 0 is not computed."""
    return term is not None and not (isinstance(term, RewardTermCfg) and term.weight == 0.0)
