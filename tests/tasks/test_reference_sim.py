"""The `_reference` tasks have the reference system's numbers, and the others but for what docs/tasks.md declares."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest

from rlmpc.command_line.train import compose_train
from rlmpc.config.compare import config_changes
from rlmpc.config.overrides import value_at
from rlmpc.envs.make import env_config

pytestmark = pytest.mark.sim

DOC = Path(__file__).parents[2] / "docs/tasks.md"

BOTH = {
    "scene.num_envs": 4096,
    "sim.dt": 0.005,
    "decimation": 4,
    "episode_length_s": 12.0,
    **{f"observations.policy.{name}.history_length": 10 for name in ("joint_pos", "joint_vel")},
    **{
        f"observations.policy.{name}.history_length": 5
        for name in ("base_ang_vel", "projected_gravity", "velocity_command", "last_action")
    },
    "observations.policy.joint_vel.scale": 0.05,
    "observations.policy.base_ang_vel.scale": 0.2,
    **{
        f"observations.policy.{name}.noise.n_max": bound
        for name, bound in {"joint_pos": 0.01, "joint_vel": 1.5, "base_ang_vel": 0.2, "projected_gravity": 0.05}.items()
    },
    "actions.gait_cycle.period_range_s": (0.3, 2.0),
    "actions.gait_cycle.leg_offsets": (0.0, 0.5),
    "commands.base_velocity.rel_standing_envs": 0.05,
    "commands.base_velocity.resampling_time_range": (2.0, 12.0),
    "commands.base_velocity.ranges.lin_vel_y": (-0.1, 0.1),
    "commands.base_velocity.ranges.ang_vel_z": (-0.1, 0.1),
    "commands.base_velocity.limits.lin_vel_y": (-0.5, 0.5),
    "commands.base_velocity.limits.ang_vel_z": (-2.0, 2.0),
    "scene.terrain.max_init_terrain_level": 0,
    "scene.terrain.terrain_generator.size": (8.0, 8.0),
    "events.torso_mass.params.mass_distribution_params": (0.8, 1.2),
    "events.joint_gains.params.stiffness_distribution_params": (0.8, 1.2),
    "events.joint_gains.params.damping_distribution_params": (0.8, 1.2),
    "events.push.params.min_lin_vel_x": 0.5,
    "events.push.params.velocity_range": {"x": (-0.5, 0.5), "y": (-0.5, 0.5)},
    "events.reset_root.params.heading_noise_rad": math.radians(10.0),
    "rewards.track_lin_vel_xy.params.std": 0.5,
    "rewards.track_ang_vel_z.params": {"command_name": "base_velocity", "std": 0.5, "averaged": False},
    "observations.teacher.history_length": None,
    "observations.critic.history_length": None,
    "observations.critic.velocity_error": None,
    "rewards.joint_vel_limits.params.soft_ratio": 0.9,
    "rewards.gait_period.params.period_s": 0.5,
    "rewards.gait_period.params.rate": 4.6,
    "rewards.gait_phase.params.stance_share": 0.55,
    "rewards.gait_phase.params.min_command": 0.1,
    "rewards.undesired_contacts.params.threshold": 1.0,
    "terminations.fell_below.params.minimum_height": -5.0,
    "terminations.bad_orientation.params.limit_angle": 0.8,
}
WEIGHTS = {
    **{"alive": 0.15, "track_lin_vel_xy": 3.0, "track_ang_vel_z": 2.5, "ang_vel_xy": -0.05, "downward_velocity": -3.0},
    **{"joint_vel": -1e-3, "joint_acc": -2.5e-7, "joint_pos_limits": -5.0, "joint_vel_limits": -5.0, "energy": -2e-5},
    **{"ankle_torque": -0.005, "flat_orientation": -15.0, "arm_deviation": -0.45, "waist_deviation": -1.0},
    **{"hip_deviation": -1.1, "ankle_pitch_deviation": -0.05, "gait_period": 1.0, "gait_phase": 1.5},
    **{"feet_slide": -0.2, "undesired_contacts": -1.0},
}
TASKS = {
    "blind_rl": {
        "commands.base_velocity.ranges.lin_vel_x": (-0.1, 0.1),
        "commands.base_velocity.limits.lin_vel_x": (-0.5, 1.0),
        "scene.terrain.terrain_generator.num_rows": 10,
        "scene.terrain.terrain_generator.num_cols": 3,
        "events.friction.params.static_friction_range": (0.3, 1.5),
        "events.push.interval_range_s": (0.25, 12.0),
        "rewards.action_rate.weight": -0.15,
    },
    "phase_1_scan_rl": {
        "commands.base_velocity.ranges.lin_vel_x": (0.0, 0.1),
        "commands.base_velocity.limits.lin_vel_x": (0.0, 1.0),
        "commands.base_velocity.min_lin_vel_x_at_limit": 0.5,
        "scene.terrain.terrain_generator.num_rows": 8,
        "scene.terrain.terrain_generator.num_cols": 4,
        "scene.height_scanner.offset.pos": (0.2, 0.0, 0.43),
        "scene.height_scanner.max_distance": 7.0,
        "scene.height_scanner.pattern_cfg.resolution": 0.05,
        "scene.height_scanner.pattern_cfg.size": (1.3, 0.4),
        "events.friction.params.static_friction_range": (0.3, 1.0),
        "events.push.interval_range_s": (0.25, 7.0),
        "rewards.action_rate.weight": -0.05,
    },
}
GROUNDS = {
    "stairs_up": {"step_height_range": (0.01, 0.17), "step_width": 0.3, "platform_width": 1.5},
    "stairs_down": {"step_height_range": (0.01, 0.17), "step_width": 0.3, "platform_width": 1.25},
    "random_boxes": {"grid_height_range": (0.01, 0.125), "grid_width": 0.75},
    "stepping_stones": {"stone_width": (1.0, 0.8), "gap_width": (0.05, 0.2), "max_height": 0.05, "depth": 8.0},
}
SWITCHES = {
    "env.observations.<group>.gait_phase=null": ["env.observations.policy.gait_phase=null"],
    "env.observations.<group>.foot_contact=null": ["env.observations.critic.foot_contact=null"],
    "env.observations.<group>.base_height=null": ["env.observations.teacher.base_height=null"],
    "env.actions.joint_pos.scale.<joint>=0.25": ["env.actions.joint_pos.scale.left_knee_joint=0.25"],
    "env.scene.robot.actuators.<name>.stiffness=": ["env.scene.robot.actuators.arms.stiffness=40.0"],
    **{
        switch: [switch]
        for switch in (
            *("env.action_limit=1e9", "env.scene.robot.spawn.self_collision=true", "env.events.torso_com=null"),
            *("env.commands.base_velocity.limits.ang_vel_z=[-0.1,0.1]", "env.terminations.left_tile.time_out=false"),
            "env.terminations.non_finite=null",
        )
    },
}
"""Switches as the page writes them -> arguments that are one case of each."""


def config(task: str, *arguments: str) -> Any:
    cfg, _ = compose_train([f"task={task}", *arguments])
    return env_config(cfg.task, cfg.env)


def switched_on(section: Any) -> set[str]:
    return {name for name, term in vars(section).items() if term is not None}


@pytest.mark.parametrize("task", TASKS)
def test_the_numbers_of_a_reference_task_are_the_references(task: str):
    cfg = config(f"{task}_reference")
    numbers = BOTH | {f"rewards.{name}.weight": weight for name, weight in WEIGHTS.items()} | TASKS[task]
    found = {path: value_at(cfg, path, "env") for path in numbers}
    assert {path: value for path, value in found.items() if value != numbers[path]} == {}
    assert switched_on(cfg.rewards) == {*WEIGHTS, "action_rate"}
    assert switched_on(cfg.curriculum) == {"terrain_levels", "command_ranges"}
    for name, kind in cfg.scene.terrain.terrain_generator.sub_terrains.items():
        assert {key: getattr(kind, key) for key in GROUNDS[name]} == GROUNDS[name]


def differences(task: str, *arguments: str) -> dict[str, tuple[Any, Any]]:
    """What differs between a reference task and the default with arguments: path -> value there and here."""
    changes = config_changes(config(f"{task}_reference"), config(task, *arguments))
    # Without commanded headings, nobody reads their range.
    return {change.path: (change.there, change.here) for change in changes if not change.path.endswith(".heading")}


def overrides_of_the_table(head: str) -> list[str]:
    """The overrides that a table of the page, known by the beginning of its head, has in its last column."""
    table = DOC.read_text().partition(f"\n{head}")[2].partition("\n\n")[0]
    return [f"env.{override}" for override in re.findall(r"`([a-z_.]+=[^`]+)`", table)]


def test_the_overrides_of_the_page_make_the_default_the_reference_and_each_of_them_does_something():
    overrides = overrides_of_the_table("| reference |")
    assert differences("blind_rl", *overrides) == {}
    declared = {override.partition("=")[0].removeprefix("env.") for override in overrides}
    scales = {path for path in differences("blind_rl") if path.startswith("actions.joint_pos.scale.")}
    assert differences("blind_rl").keys() - scales == declared


def test_the_scan_task_differs_from_its_reference_as_the_blind_task_and_as_the_page_says():
    overrides = overrides_of_the_table("| the scan task's reference |")
    more = {override.partition("=")[0].removeprefix("env.") for override in overrides}
    assert differences("phase_1_scan_rl").keys() == differences("blind_rl").keys() | more
    assert differences("phase_1_scan_rl", *overrides).keys() == differences("blind_rl").keys()


def test_weights_of_rewards_are_the_references_but_for_those_that_the_page_declares():
    rewards = config("blind_rl").rewards
    weights = {name: getattr(rewards, name).weight for name in WEIGHTS | {"action_rate": None}}
    assert weights == WEIGHTS | {"action_rate": -0.15, "track_lin_vel_xy": 1.0}


def test_what_a_table_of_the_page_declares_is_so():
    cfg = config("blind_rl_reference")
    scales = cfg.actions.joint_pos.scale.values()
    assert (round(min(scales), 2), round(max(scales), 2)) == (0.07, 0.55)
    for drive in cfg.scene.robot.actuators.values():
        rate = 2.0 * math.pi * 10.0
        assert drive.stiffness == pytest.approx(drive.armature * rate**2, rel=1e-3)
        assert drive.damping == pytest.approx(2.0 * 2.0 * drive.armature * rate, rel=1e-3)
    assert (cfg.action_limit, cfg.scene.robot.spawn.self_collision) == (100.0, False)
    assert cfg.scene.robot.soft_joint_pos_limit_factor == 0.9


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_switch_of_the_page_is_accepted(switch: str):
    assert f"`{switch}`" in DOC.read_text()
    config("blind_rl_reference", *SWITCHES[switch])
