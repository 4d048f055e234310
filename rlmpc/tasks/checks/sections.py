"""Sections must be there and have terms."""

from typing import Any

from isaaclab.managers import ManagerTermBaseCfg

from rlmpc.tasks.checks.fields import GENERATOR, fields_at

_REQUIRED = (
    "sim",
    "sim.physics",
    "sim.physics.solver_cfg",
    "sim.physics.default_shape_cfg",
    "scene",
    "scene.terrain",
    GENERATOR,
    f"{GENERATOR}.sub_terrains",
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


def check_sections(cfg: Any) -> None:
    """Refuse a configuration that lacks a section the simulation needs, has one without a term, or has no tiles.

    Raises:
        ValueError: If it does, with the section.
    """
    for path, value in fields_at(cfg, _REQUIRED):
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
