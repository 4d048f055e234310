"""The Unitree G1 with 29 joints: the roles of its parts. Gains, limits, masses and shapes are in `g1_29dof.json`."""

from pathlib import Path

from rlmpc.robots.robot import Robot

G1 = Robot(
    name="g1_29dof",
    description_file=Path(__file__).with_name("g1_29dof.json"),
    torso="torso_link",
    feet=("left_ankle_roll_link", "right_ankle_roll_link"),
    sole_offset_m=0.035,
    ground_bodies=(".*_ankle_.*_link",),
    arms=(".*_shoulder_.*_joint", ".*_elbow_joint", ".*_wrist_.*_joint"),
    waist=("waist_.*_joint",),
    hip_roll_yaw=(".*_hip_roll_joint", ".*_hip_yaw_joint"),
    ankles=(".*_ankle_pitch_joint", ".*_ankle_roll_joint"),
    ankle_pitch=(".*_ankle_pitch_joint",),
    yaw=(".*_hip_yaw_joint", "waist_yaw_joint"),
)
"""The JSON file names the source of its numbers."""
