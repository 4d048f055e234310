"""Everything that `python -m rlmpc.deploy` accepts."""

from __future__ import annotations

from dataclasses import dataclass

from rlmpc.config.seeds import MAX_PROCESS_SEED
from rlmpc.config.setting import setting


@dataclass
class DeployCfg:
    """Everything `python -m rlmpc.deploy` accepts."""

    policy: str | None = setting(None, path=True)
    """Folder of `policy.onnx` and `policy.json`, as `export=true` writes it; it may stand alone as first argument."""
    robot: str = setting("mujoco", choices=("mujoco", "g1"))
    """`mujoco` simulates the policy's robot in real time; `g1` is a Unitree G1 with 29 joints."""
    network: str | None = None
    """Network interface that leads to the robot of `robot=g1`, for example `eth0`."""
    command: list[float] | None = None
    """vx, vy [m/s] and yaw rate [rad/s], kept from beginning to end, in MuJoCo; null asks the keyboard."""
    gamepad: str | None = setting(None, path=True, excludes=("command",))
    """Device of a gamepad that is asked instead of the keyboard, for example `/dev/input/js0`."""
    seconds: float | None = setting(None, above=0.0)
    """How long the policy acts; null: until it is stopped."""
    stand_up: float = setting(3.0, least=0.5, most=60.0)
    """Seconds in which the joints go to the default pose."""
    damping: float = setting(5.0, above=0.0, most=50.0)
    """Gain of the joints while they are damped [N m s/rad]."""
    max_tilt: float = setting(0.8, above=0.0, most=3.2)
    """Tilt of the root that stops it [rad]."""
    joint_margin: float = setting(0.1, least=0.0, most=1.0)
    """How far beyond its limit a joint may be [rad]."""
    max_torque_s: float = setting(0.25, above=0.0, most=10.0)
    """How long a joint may push with all its torque [s]."""
    pose_tolerance: float = setting(0.3, above=0.0, most=3.2)
    """How far from the default pose a joint may be after standing up [rad]."""
    max_age: float = setting(0.03, above=0.0, most=1.0)
    """Age of the newest sensor values that stops it [s]."""
    max_missed: int = setting(1, least=1, most=1000)
    """Deadlines missed one after the other that stop it."""
    seed: int = setting(1, least=0, most=MAX_PROCESS_SEED)
    """Of the phase of the gait, and of the start in MuJoCo."""
