"""A biped of two three-jointed legs."""

from pathlib import Path

from rlmpc.robots.robot import Robot

BIPED = Robot(
    name="biped",
    description_file=Path(__file__).with_name("biped.json"),
    torso="trunk",
    feet=("foot_left", "foot_right"),
    sole_offset_m=0.04,
    ground_bodies=("foot_.*",),
    ankles=("ankle_.*",),
    ankle_pitch=("ankle_.*",),
)
