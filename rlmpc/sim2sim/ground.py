"""The ground as boxes: flat, or the stairs that the policy was trained on.

Stairs surround the start on all four sides in square rings, as in Isaac Lab's pyramid stairs: one tile, with level
ground at height 0 around it. A test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rlmpc.contract.world import Terrain
from rlmpc.errors import UserError, nearest

FLAT = "flat"
"""The kind of ground that is always available."""

_DIRECTIONS = {"inverted_pyramid_stairs_terrain": -1.0, "pyramid_stairs_terrain": 1.0}
"""Sign of the middle's height by shape: in a pit the robot starts low and climbs, on a hill it descends."""

_NUMBERS = {"step_height_range", "step_width", "platform_width", "holes", "border_width"}
"""Keys that describe stairs."""

_THICKNESS_M = 1.0
"""Thickness of the ground at its lowest place."""


@dataclass(frozen=True)
class Box:
    """An upright box in the world frame."""

    centre: tuple[float, float, float]
    """[m]"""
    half_size: tuple[float, float, float]
    """[m]"""


@dataclass(frozen=True)
class Ground:
    """Boxes that do not overlap and leave no gap between them."""

    boxes: tuple[Box, ...]
    origin_height: float
    """Height of the ground in the middle of the tile, where episodes start [m]."""


def served_kinds(terrain: Terrain) -> tuple[str, ...]:
    """Return the kinds of ground that can be built here: flat, and stairs of the training that fill square tiles."""
    width, length = terrain.tile_size_m
    stairs = [name for name, kind in terrain.kinds.items() if width == length and _is_served(kind)]
    return tuple(dict.fromkeys((FLAT, *stairs)))


def _is_served(kind: Mapping[str, Any]) -> bool:
    is_complete = kind.get("shape") in _DIRECTIONS and kind.keys() >= _NUMBERS
    return is_complete and not kind["holes"] and kind["border_width"] == 0.0


def make_ground(terrain: Terrain, kind: str, level: int) -> Ground:
    """Build the ground of one kind and level; flat ground is the same on all levels.

    Raises:
        UserError: if the kind or the level is unknown.
    """
    kinds = served_kinds(terrain)
    if kind not in kinds:
        raise UserError(f"terrain '{kind}' is not known to MuJoCo; accepted: {', '.join(kinds)}{nearest(kind, kinds)}")
    if not 0 <= level < terrain.num_levels:
        raise UserError(f"level {level} does not exist; accepted: 0 to {terrain.num_levels - 1}")
    if kind == FLAT:
        x, y = (0.5 * side + terrain.border_width_m for side in terrain.tile_size_m)
        return Ground((_box((0.0, 0.0), (x, y), 0.0, -_THICKNESS_M),), 0.0)
    return _stairs(terrain, kind, level)


def step_height(terrain: Terrain, kind: str, level: int) -> float:
    """Return the height of a step [m], the middle of the level's interval from which training draws it."""
    easiest, hardest = terrain.difficulty_range
    difficulty = easiest + (level + 0.5) / terrain.num_levels * (hardest - easiest)
    low, high = terrain.kinds[kind]["step_height_range"]
    return low + difficulty * (high - low)


def _stairs(terrain: Terrain, kind: str, level: int) -> Ground:
    """Build rings that rise (or fall) by one step each towards the middle."""
    numbers = terrain.kinds[kind]
    rise = _DIRECTIONS[numbers["shape"]] * step_height(terrain, kind, level)
    step_width, half_tile = numbers["step_width"], 0.5 * terrain.tile_size_m[0]
    # Only whole steps fit, so the platform is narrower than `platform_width`.
    num_rings = int((2.0 * half_tile - numbers["platform_width"]) // (2.0 * step_width)) + 1
    edges = [half_tile - step_width * ring for ring in range(num_rings + 1)]
    origin_height = (num_rings + 1) * rise
    bottom = min(0.0, origin_height) - _THICKNESS_M
    boxes = _ring(half_tile + terrain.border_width_m, half_tile, 0.0, bottom)
    for ring in range(num_rings):
        boxes += _ring(edges[ring], edges[ring + 1], (ring + 1) * rise, bottom)
    boxes.append(_box((0.0, 0.0), (edges[-1], edges[-1]), origin_height, bottom))
    return Ground(tuple(boxes), origin_height)


def _ring(outer: float, inner: float, top: float, bottom: float) -> list[Box]:
    """Build four boxes between the squares of half width `outer` and `inner` [m]."""
    middle, half_width = 0.5 * (outer + inner), 0.5 * (outer - inner)
    along_x = [_box((0.0, side * middle), (outer, half_width), top, bottom) for side in (-1.0, 1.0)]
    along_y = [_box((side * middle, 0.0), (half_width, inner), top, bottom) for side in (-1.0, 1.0)]
    return along_x + along_y


def _box(centre: tuple[float, float], half_size: tuple[float, float], top: float, bottom: float) -> Box:
    return Box((*centre, 0.5 * (top + bottom)), (*half_size, 0.5 * (top - bottom)))
