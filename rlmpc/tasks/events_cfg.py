"""Randomisation, disturbances and resets of the locomotion tasks."""

# Isaac Lab annotates `func` as a function, but its managers also instantiate a class.
# pyright: reportArgumentType=false

import math

from isaaclab.managers import EventTermCfg, SceneEntityCfg
from isaaclab.utils import configclass

from rlmpc.tasks import mdp
from rlmpc.tasks.robot_parts import RobotPartCfg


@configclass
class EventsCfg:
    """Physics is randomised at start-up, and anew before a round of an evaluation, when all environments are reset."""

    friction = EventTermCfg(
        func=mdp.randomize_rigid_body_material,
        mode="startup",
        params={
            "asset_cfg": SceneEntityCfg("robot", body_names=".*"),
            # Newton has one coefficient per shape: the dynamic range and the buckets are required but not used.
            "static_friction_range": (0.3, 1.5),
            "dynamic_friction_range": (0.3, 1.5),
            "restitution_range": (0.0, 0.0),
            "num_buckets": 1,
        },
    )
    torso_mass = EventTermCfg(
        func=mdp.randomize_rigid_body_mass,
        mode="startup",
        params={
            "asset_cfg": RobotPartCfg(part="torso"),
            "mass_distribution_params": (0.8, 1.2),
            "operation": "scale",
        },
    )
    torso_com: EventTermCfg | None = EventTermCfg(
        func=mdp.randomize_rigid_body_com,
        mode="startup",
        params={
            "asset_cfg": RobotPartCfg(part="torso"),
            "com_range": dict.fromkeys(("x", "y", "z"), (-0.05, 0.05)),
        },
    )
    """Displacement of the torso's centre of mass [m]. None switches it off, as in the reference."""

    joint_gains = EventTermCfg(
        func=mdp.randomize_actuator_gains,
        mode="startup",
        params={
            "asset_cfg": SceneEntityCfg("robot", joint_names=".*"),
            "stiffness_distribution_params": (0.8, 1.2),
            "damping_distribution_params": (0.8, 1.2),
            "operation": "scale",
        },
    )

    reset_root = EventTermCfg(
        func=mdp.reset_root_four_headings,
        mode="reset",
        params={"heading_noise_rad": math.radians(10.0), "max_velocity": 0.1, "forward_velocity": (0.0, 0.0)},
    )
    reset_joints = EventTermCfg(
        func=mdp.reset_joints_by_scale,
        mode="reset",
        params={"position_range": (1.0, 1.0), "velocity_range": (0.0, 0.0)},
    )

    push: EventTermCfg | None = EventTermCfg(
        func=mdp.push_at_speed,
        mode="interval",
        interval_range_s=(5.0, 12.0),
        params={
            "command_name": "base_velocity",
            "min_lin_vel_x": 1.0,
            "velocity_range": {"x": (-0.5, 0.5), "y": (-0.5, 0.5)},
        },
    )
