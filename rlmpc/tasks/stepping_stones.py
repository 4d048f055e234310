"""Stepping stones as a mesh: square pillars of slightly different heights with gaps between them."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import trimesh
from isaaclab.terrains import SubTerrainBaseCfg
from isaaclab.utils import configclass

_MIN_CUT_M = 0.2
"""Shortest side of a stone cut by a border or the platform; anything shorter would be a ridge, not a stone."""

_Span = tuple[float, float]
"""Where a stone begins and ends along one axis [m]."""


def stepping_stones(difficulty: float, cfg: "SteppingStonesCfg") -> tuple[list[trimesh.Trimesh], np.ndarray]:
    """Build one tile: stones around a platform, on a floor far below.

    Gaps have vertical walls and exactly the width for the difficulty. Outside the rows of the platform, the stones of
    neighbouring rows are shifted against each other at random.

    Args:
        difficulty: From 0 (wide stones, narrow gaps) to 1.
        cfg: Lengths of the tile.

    Returns:
        Closed boxes that do not overlap, in a tile from (0, 0) to `cfg.size` [m], and the centre of the platform's
        top, shape (3,) [m].

    Raises:
        ValueError: See `SteppingStonesCfg.check`.
    """
    cfg.check()
    stone, gap = (float(np.interp(difficulty, (0.0, 1.0), ends)) for ends in (cfg.stone_width, cfg.gap_width))
    # Isaac Lab identifies a cached tile by its configuration, difficulty and seed. Without a seed, the global
    # generator is used, which the environment seeds.
    seed = np.random.randint(2**31) if cfg.seed is None else cfg.seed
    rng = np.random.default_rng((seed, int(difficulty * 2**31)))

    def fill(low: float, high: float) -> list[_Span]:
        return _fill(low, high, stone, gap, rng)

    x, y = 0.5 * cfg.size[0], 0.5 * cfg.size[1]
    half = 0.5 * cfg.platform_width
    platform: tuple[_Span, _Span] = (x - half, x + half), (y - half, y + half)
    rows_beside = fill(*platform[1])
    rows_outside = fill(0.0, y - half - gap) + fill(y + half + gap, cfg.size[1])
    cells = [(column, row) for row in rows_outside for column in fill(0.0, cfg.size[0])]
    for row in rows_beside:
        cells += [(column, row) for column in fill(0.0, x - half - gap) + fill(x + half + gap, cfg.size[0])]
    heights = rng.uniform(-cfg.max_height, cfg.max_height, len(cells))

    boxes = [_box(*cell, (-cfg.depth, height)) for cell, height in zip(cells, heights, strict=True)]
    boxes.append(_box(*platform, (-cfg.depth, 0.0)))
    boxes.append(_box((0.0, cfg.size[0]), (0.0, cfg.size[1]), (-cfg.depth - 1.0, -cfg.depth)))
    return boxes, np.array([x, y, 0.0])


def _fill(low: float, high: float, stone: float, gap: float, rng: np.random.Generator) -> list[_Span]:
    """Fill a stretch with whole stones and a cut one at either end, so that it begins and ends with a stone.

    The length left over by the whole stones is split between the cut ones at random.
    """
    if high - low <= stone:
        return [(low, high)]
    num_whole = math.floor((high - low - gap - 2.0 * _MIN_CUT_M) / (stone + gap))
    left_over = high - low - gap - num_whole * (stone + gap)
    first = rng.uniform(max(_MIN_CUT_M, left_over - stone), min(stone, left_over - _MIN_CUT_M))
    starts = [low + first + gap + index * (stone + gap) for index in range(num_whole + 1)]
    return [(low, low + first), *((start, start + stone) for start in starts[:-1]), (starts[-1], high)]


def _box(x: _Span, y: _Span, z: _Span) -> trimesh.Trimesh:
    """Return a closed box between coordinates [m]."""
    return trimesh.creation.box(bounds=np.array([x, y, z]).T)


@configclass
class SteppingStonesCfg(SubTerrainBaseCfg):
    """Configuration of stepping stones; lengths in m."""

    function: Callable[[float, Any], tuple[list[trimesh.Trimesh], np.ndarray]] = stepping_stones

    stone_width: tuple[float, float] = (1.0, 0.8)
    """Side of the square stones at difficulty 0 and 1; a border or the platform may cut it."""

    gap_width: tuple[float, float] = (0.05, 0.2)
    """Width of the gaps at difficulty 0 and 1."""

    max_height: float = 0.05
    """Largest distance of a stone's top below or above the platform; tops are uniformly distributed."""

    depth: float = 8.0
    """Depth of the floor below the platform."""

    platform_width: float = 1.5
    """Side of the square platform in the middle, at height 0."""

    seed: int | None = None
    """Set by Isaac Lab's terrain generator to its own seed."""

    def check(self) -> None:
        """Refuse lengths that, at any difficulty, leave no room for stones or turn boxes inside out.

        Raises:
            ValueError: If there are any, with the lengths and what is accepted.
        """
        for stone, gap in zip(self.stone_width, self.gap_width, strict=True):
            if gap < 0.0:
                raise ValueError(f"gaps between stepping stones must be at least 0 m wide, not {gap}")
            if stone < gap + 2.0 * _MIN_CUT_M:
                raise ValueError(
                    f"stones of {stone} m are too narrow for gaps of {gap} m: {2.0 * _MIN_CUT_M} m wider is enough"
                )
        if self.platform_width < _MIN_CUT_M:
            raise ValueError(
                f"the platform of stepping stones must be at least {_MIN_CUT_M} m, not {self.platform_width}"
            )
        beside = 0.5 * (min(self.size) - self.platform_width) - max(self.gap_width)
        if beside < _MIN_CUT_M:
            raise ValueError(f"the tile has only {beside} m for stones beside its platform, less than {_MIN_CUT_M} m")
        if not 0.0 <= self.max_height < self.depth:
            raise ValueError(f"max_height of stepping stones must lie in [0, depth), not {self.max_height}")
