"""Scene of the locomotion tasks: ground, robot, contact sensor and light."""

from dataclasses import MISSING

import isaaclab.sim as sim_utils
from isaaclab.assets import ArticulationCfg, AssetBaseCfg
from isaaclab.scene import InteractiveSceneCfg
from isaaclab.sensors import ContactSensorCfg
from isaaclab.terrains import TerrainImporterCfg
from isaaclab.utils import configclass


@configclass
class LocomotionSceneCfg(InteractiveSceneCfg):
    """Nothing in it has to be downloaded."""

    terrain = TerrainImporterCfg(
        prim_path="/World/ground",
        terrain_type="generator",
        terrain_generator=MISSING,  # pyright: ignore[reportArgumentType]  # marks a required field for configclass
        max_init_terrain_level=0,
        visual_material=sim_utils.PreviewSurfaceCfg(diffuse_color=(0.35, 0.33, 0.30)),
    )
    """Ground. Its own friction has no effect: the robot's collision shapes have priority over it."""

    robot: ArticulationCfg = MISSING  # pyright: ignore[reportAssignmentType]
    """Derived from the environment's `robot`."""

    contact_forces = ContactSensorCfg(
        prim_path="{ENV_REGEX_NS}/Robot/[^/]*",
        # Covers almost all physics steps of an environment step.
        history_length=3,
        track_air_time=True,
    )
    light = AssetBaseCfg(prim_path="/World/light", spawn=sim_utils.DomeLightCfg(intensity=1000.0))
