"""Terrains: grids of square tiles, with columns for the kinds of ground and a row for each level of difficulty."""

import numpy as np
from isaaclab.terrains import (
    MeshInvertedPyramidStairsTerrainCfg,
    MeshPlaneTerrainCfg,
    MeshPyramidStairsTerrainCfg,
    MeshRandomGridTerrainCfg,
    TerrainGeneratorCfg,
    TerrainImporter,
)
from isaaclab.utils import replace

from rlmpc.tasks.stepping_stones import SteppingStonesCfg

TILE_SIZE_M = (8.0, 8.0)
"""Size of a tile; robots start at its centre and leave it after 4 m."""

_BORDER_WIDTH_M = 8.0
"""Width of the flat ground around the grid; an episode ends within a step of leaving a tile, so one tile suffices."""

BLIND_TERRAIN_CFG = TerrainGeneratorCfg(
    size=TILE_SIZE_M,
    border_width=_BORDER_WIDTH_M,
    num_rows=10,
    num_cols=3,
    # Orders rows by difficulty; otherwise kinds and difficulties are scattered at random.
    curriculum=True,
    sub_terrains={
        # Kinds are named by what a robot meets that starts in the middle, of a pit or of a hill.
        "stairs_up": MeshInvertedPyramidStairsTerrainCfg(
            step_height_range=(0.01, 0.17), step_width=0.3, platform_width=1.5
        ),
        "stairs_down": MeshPyramidStairsTerrainCfg(step_height_range=(0.01, 0.17), step_width=0.3, platform_width=1.25),
        "random_boxes": MeshRandomGridTerrainCfg(grid_height_range=(0.01, 0.125), grid_width=0.75, platform_width=1.5),
    },
)
"""Stairs up, stairs down and random boxes in ten levels; heights and widths in m."""

SCAN_TERRAIN_CFG = replace(
    BLIND_TERRAIN_CFG,
    num_rows=8,
    num_cols=5,
    sub_terrains={
        **BLIND_TERRAIN_CFG.sub_terrains,
        # Two of five columns: they take longest to learn.
        "stepping_stones": SteppingStonesCfg(
            proportion=2.0,
            stone_width=(1.0, 0.8),
            gap_width=(0.05, 0.2),
            max_height=0.05,
            depth=8.0,
            platform_width=1.5,
        ),
    },
)
"""The kinds of `BLIND_TERRAIN_CFG` and stepping stones, in eight levels; heights and widths in m."""

FLAT_TERRAIN_CFG = TerrainGeneratorCfg(
    size=TILE_SIZE_M,
    border_width=_BORDER_WIDTH_M,
    num_rows=1,
    num_cols=1,
    curriculum=True,
    # A plane as a mesh has no volume, so Newton rejects it.
    sub_terrains={"flat": MeshPlaneTerrainCfg(convert_to_heightfield=True)},
)
"""One flat tile."""


def columns_of_kinds(generator: TerrainGeneratorCfg) -> dict[str, list[int]]:
    """Return the columns of the grid by kind of ground; all under the name `mixed` if kinds are scattered.

    Isaac Lab assigns columns to kinds by their shares, rounded. A kind without a column is left out.
    """
    if not generator.curriculum:
        return {"mixed": list(range(generator.num_cols))}
    shares = np.array([kind.proportion for kind in generator.sub_terrains.values()])
    # The rule of Isaac Lab's generator, with its tolerance.
    starts = np.arange(generator.num_cols) / generator.num_cols + 0.001
    kinds = np.searchsorted(np.cumsum(shares / shares.sum()), starts, side="right")
    columns = {name: np.flatnonzero(kinds == index).tolist() for index, name in enumerate(generator.sub_terrains)}
    return {name: places for name, places in columns.items() if places}


def follow_levels(terrain: TerrainImporter) -> None:
    """Put the origin of every environment on the tile of its level and column; the ground must have tiles."""
    assert terrain.terrain_origins is not None and terrain.env_origins is not None
    terrain.env_origins.copy_(terrain.terrain_origins[terrain.terrain_levels, terrain.terrain_types])
