"""The ground as boxes: flat, or the stairs that the policies were trained on.

Stairs surround the start on all four sides in square rings, as in the training terrain: a tile of 8 m x 8 m with level
ground at height 0 around it. The numbers are those of `rlmpc/tasks/terrains.py`, which cannot be imported without the
training simulator; a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass

from rlmpc.errors import UserError, nearest

TERRAINS: tuple[str, ...] = ("flat", "stairs_up", "stairs_down")
"""Kinds of ground, named by what a robot meets that starts in the middle."""

NUM_LEVELS = 10
"""Levels of difficulty of the stairs."""

TILE_HALF_SIZE_M = 4.0
"""From the middle to the edge of the tile."""

STEP_WIDTH_M = 0.3
STEP_HEIGHT_RANGE_M = (0.01, 0.17)
PLATFORM_WIDTH_M = {"stairs_up": 1.5, "stairs_down": 1.25}
"""Least width of the square in the middle that is wanted; whole steps make it narrower."""

_BORDER_WIDTH_M = 8.0
_THICKNESS_M = 1.0
"""Of the lowest piece of ground."""


@dataclass(frozen=True)
class Box:
    """An upright box in the world frame."""

    centre: tuple[float, float, float]
    half_size: tuple[float, float, float]
    """[m]"""


@dataclass(frozen=True)
class Ground:
    """Boxes that do not overlap and leave no gap between them."""

    boxes: tuple[Box, ...]
    origin_height: float
    """[m] height of the ground in the middle of the tile, where episodes start."""


def step_height(level: int) -> float:
    """Height of a step [m]; training draws it from the interval of the level, this is the middle."""
    low, high = STEP_HEIGHT_RANGE_M
    return low + (level + 0.5) / NUM_LEVELS * (high - low)


def make_ground(terrain: str, level: int) -> Ground:
    """The ground of one kind and level; flat ground is the same on all levels.

    Raises:
        UserError: for an unknown kind or level.
    """
    if terrain not in TERRAINS:
        raise UserError(
            f"terrain '{terrain}' is not known to MuJoCo; accepted: {', '.join(TERRAINS)}{nearest(terrain, TERRAINS)}"
        )
    if not 0 <= level < NUM_LEVELS:
        raise UserError(f"level {level} does not exist; accepted: 0 to {NUM_LEVELS - 1}")
    if terrain == "flat":
        return Ground((_box((0.0, 0.0), (_outer_edge(), _outer_edge()), 0.0, -_THICKNESS_M),), 0.0)
    # Who starts in a pit climbs, who starts on a hill descends.
    return _stairs(-step_height(level) if terrain == "stairs_up" else step_height(level), PLATFORM_WIDTH_M[terrain])


def _outer_edge() -> float:
    return TILE_HALF_SIZE_M + _BORDER_WIDTH_M


def _stairs(rise: float, platform_width: float) -> Ground:
    """Rings that rise (or fall, if negative) by `rise` from one to the next towards the middle."""
    num_rings = int((2.0 * TILE_HALF_SIZE_M - platform_width) // (2.0 * STEP_WIDTH_M)) + 1
    edges = [TILE_HALF_SIZE_M - STEP_WIDTH_M * ring for ring in range(num_rings + 1)]
    origin_height = (num_rings + 1) * rise
    bottom = min(0.0, origin_height) - _THICKNESS_M
    boxes = _ring(_outer_edge(), TILE_HALF_SIZE_M, 0.0, bottom)
    for ring in range(num_rings):
        boxes += _ring(edges[ring], edges[ring + 1], (ring + 1) * rise, bottom)
    boxes.append(_box((0.0, 0.0), (edges[-1], edges[-1]), origin_height, bottom))
    return Ground(tuple(boxes), origin_height)


def _ring(outer: float, inner: float, top: float, bottom: float) -> list[Box]:
    """Four boxes between the squares of half width `outer` and `inner` [m]."""
    middle, half_width = 0.5 * (outer + inner), 0.5 * (outer - inner)
    along_x = [_box((0.0, side * middle), (outer, half_width), top, bottom) for side in (-1.0, 1.0)]
    along_y = [_box((side * middle, 0.0), (half_width, inner), top, bottom) for side in (-1.0, 1.0)]
    return along_x + along_y


def _box(centre: tuple[float, float], half_size: tuple[float, float], top: float, bottom: float) -> Box:
    return Box((*centre, 0.5 * (top + bottom)), (*half_size, 0.5 * (top - bottom)))
