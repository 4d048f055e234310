"""Environments of `blind_rl`: training, playing, and both on flat ground."""

from isaaclab.utils import clone, configclass

from rlmpc.tasks.locomotion_env_cfg import LocomotionEnvCfg, in_play_mode
from rlmpc.tasks.terrains import BLIND_TERRAIN_CFG, FLAT_TERRAIN_CFG


@configclass
class BlindEnvCfg(LocomotionEnvCfg):
    """Stairs up, stairs down and random boxes, from the easiest level on."""

    def __post_init__(self) -> None:
        """Choose the terrain."""
        super().__post_init__()
        self.scene.terrain.terrain_generator = clone(BLIND_TERRAIN_CFG)


@configclass
class BlindFlatEnvCfg(BlindEnvCfg):
    """Flat ground: no terrain levels; for quick checks."""

    def __post_init__(self) -> None:
        """Replace the terrain."""
        super().__post_init__()
        self.scene.terrain.terrain_generator = clone(FLAT_TERRAIN_CFG)
        self.curriculum.terrain_levels = None


BlindPlayEnvCfg = in_play_mode(BlindEnvCfg)
BlindFlatPlayEnvCfg = in_play_mode(BlindFlatEnvCfg)
