"""Every kind of terrain must have a place."""

import math

from isaaclab.terrains import TerrainGeneratorCfg

from rlmpc.tasks.checks.fields import GENERATOR
from rlmpc.tasks.terrains import columns_of_kinds


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
                f"{GENERATOR}.num_cols of {generator.num_cols} leaves no column for the terrain {name}; "
                "give it more columns, or leave the kind out with a proportion of 0"
            )
