"""Settings of gait, footholds, swing and torques; those of the predictive model and its solver are elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from rlmpc.config.setting import setting


@dataclass
class WalkSettings:
    """How the robot walks with zero action; docs/mpc.md says which of these matter."""

    control_dt: float = setting(0.02, above=0, largest=0.2)
    """[s] between two plans."""
    physics_dt: float = setting(0.005, above=0, largest=0.05)
    """[s] between two torques."""

    period_s: float = setting(0.56, above=0, largest=5)
    """Duration of one gait cycle, two steps."""
    swing_fraction: float = setting(3.0 / 7.0, above=0, below=0.5)
    """Part of the cycle that a foot swings; the rest of each half cycle both feet are down."""
    swing_height_m: float = setting(0.06, least=0, largest=1)
    start_delay_s: float = setting(0.4, least=0, largest=5)
    """Both feet wait so long before the first step, while the weight shifts."""
    stop_delay_s: float = setting(1.5, least=0, largest=60)
    """Steps go on so long after the last reason to step."""
    push_m: list[float] = setting([0.06, 0.08], above=0, largest=1)
    """The robot steps if the capture point is so far from the middle of the feet, forward and sideways."""
    hurry_gain: float = setting(0.6, least=0, largest=5)
    """The clock is at most so much faster if the foothold is far from the nominal one."""
    touch_force_n: float = setting(30.0, above=0, largest=1e4)
    """Normal force by which a foot counts as landed."""
    early_share: float = setting(0.6, least=0, most=1)
    """Part of the swing after which the foot may land."""
    latest_s: float = setting(0.1, least=0, largest=1)
    """A foot that finds no ground counts as down so long after the end of its swing."""

    step_width_m: float = setting(0.20, above=0, largest=2)
    """Sideways distance of the soles' centres."""
    reach_m: float = setting(0.30, above=0, largest=2)
    """Largest distance of a foothold before or behind the other foot."""
    press_m: float = setting(0.005, least=0, largest=0.1)
    """Footholds are so far below the other sole."""
    sideways_m: list[float] = setting([0.10, 0.50], above=0, largest=2)
    """Least and largest sideways distance of a foothold from the other foot."""

    acceleration: float = setting(0.5, above=0, largest=100)
    """[m/s^2] by which the commanded velocity changes."""
    angular_acceleration: float = setting(1.0, above=0, largest=100)
    """[rad/s^2] by which the commanded yaw rate changes."""
    largest_lag_m: float = setting(0.05, above=0, largest=10)
    """The reference position is never farther from the centre of mass."""
    largest_lag_rad: float = setting(0.2, above=0, largest=3)
    """The reference heading is never farther from the robot's."""

    swing_stiffness: float = setting(22.0, above=0, largest=200)
    """[1/s] natural frequency of the swing foot's critically damped error."""
    swing_acceleration: list[float] = setting([60.0, 240.0], above=0, largest=1e5)
    """[m/s^2, rad/s^2] largest accelerations of the swing foot."""
    sink_speed: float = setting(0.3, least=0, largest=5)
    """[m/s] by which a foot that finds no ground goes on down."""
    leg_damping: list[float] = setting([5.0, 0.5], least=0, largest=100)
    """[N m s/rad] of the stance leg's velocity servo: hip and knee, ankle."""
    upright_gain: float = setting(8.0, least=0, largest=100)
    """[1/s] by which that servo turns the root upright."""
