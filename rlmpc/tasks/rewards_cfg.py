"""Rewards of the locomotion tasks. A term's contribution to a step is weight x value x step time (0.02 s)."""

from dataclasses import MISSING

from isaaclab.managers import RewardTermCfg
from isaaclab.utils import configclass

from rlmpc.tasks import mdp
from rlmpc.tasks.robot_parts import RobotPartCfg


def _deviation(part: str, weight: float) -> RewardTermCfg:
    """Return a penalty on the sum of absolute distances of some joints from the default pose [rad]."""
    return RewardTermCfg(func=mdp.joint_deviation_l1, weight=weight, params={"asset_cfg": RobotPartCfg(part=part)})


@configclass
class RewardsCfg:
    """Rewards in four groups: task, smoothness, posture and gait."""

    alive = RewardTermCfg(func=mdp.is_alive, weight=0.15)
    velocity_along_command: RewardTermCfg | None = RewardTermCfg(
        func=mdp.velocity_along_command,
        weight=6.0,
        params={"command_name": "base_velocity", "min_speed": 0.1, "stand_speed": 0.15},  # m/s
    )
    track_lin_vel_xy = RewardTermCfg(
        func=mdp.track_lin_vel_xy_yaw_frame_exp,
        weight=1.0,
        params={"command_name": "base_velocity", "std": 0.5},  # m/s
    )
    track_ang_vel_z = RewardTermCfg(
        func=mdp.track_yaw_rate_exp,
        weight=2.5,
        params={"command_name": "base_velocity", "std": 0.5, "averaged": True},  # rad/s
    )

    ang_vel_xy = RewardTermCfg(func=mdp.ang_vel_xy_l2, weight=-0.05)
    downward_velocity = RewardTermCfg(func=mdp.downward_velocity_l2, weight=-3.0)
    joint_vel = RewardTermCfg(func=mdp.joint_vel_l2, weight=-1.0e-3)
    joint_acc = RewardTermCfg(func=mdp.joint_acc_l2, weight=-2.5e-7)
    action_rate = RewardTermCfg(func=mdp.action_rate_l2, weight=-0.15)
    joint_pos_limits = RewardTermCfg(func=mdp.joint_pos_limits, weight=-5.0)
    joint_vel_limits = RewardTermCfg(func=mdp.joint_vel_limits, weight=-5.0, params={"soft_ratio": 0.9})
    energy = RewardTermCfg(func=mdp.joint_power, weight=-2.0e-5)
    ankle_torque = RewardTermCfg(
        func=mdp.joint_torques_mean_l2,
        weight=-0.005,
        params={"asset_cfg": RobotPartCfg(part="ankles")},
    )

    flat_orientation = RewardTermCfg(func=mdp.flat_orientation_l2, weight=-15.0)
    arm_deviation = _deviation("arms", -0.45)
    waist_deviation = _deviation("waist", -1.0)
    hip_deviation = _deviation("hip_roll_yaw", -1.1)
    ankle_pitch_deviation = _deviation("ankle_pitch", -0.05)

    gait_period = RewardTermCfg(
        # At rate 4.6 / s, a period that is off by 0.5 s earns a tenth.
        func=mdp.gait_period_exp,
        weight=1.0,
        params={"action_name": "gait_cycle", "period_s": 0.7, "rate": 4.6},
    )
    gait_phase = RewardTermCfg(
        func=mdp.gait_phase_agreement,
        weight=1.5,
        params={
            "action_name": "gait_cycle",
            "command_name": "base_velocity",
            "sensor_cfg": RobotPartCfg(name="contact_forces", part="feet"),
            "stance_share": 0.55,
            "min_command": 0.1,
        },
    )
    swing_clearance: RewardTermCfg | None = RewardTermCfg(
        func=mdp.swing_clearance,
        weight=-2.0,
        params={"asset_cfg": RobotPartCfg(part="feet"), "sole_offset": MISSING, "height": 0.15},  # m
    )
    feet_slide = RewardTermCfg(
        func=mdp.feet_slide,
        weight=-0.2,
        params={
            "asset_cfg": RobotPartCfg(part="feet"),
            "sensor_cfg": RobotPartCfg(name="contact_forces", part="feet"),
        },
    )
    undesired_contacts = RewardTermCfg(
        func=mdp.undesired_contacts,
        weight=-1.0,
        params={
            "sensor_cfg": RobotPartCfg(name="contact_forces", part="off_ground"),
            "threshold": 1.0,  # N
        },
    )
