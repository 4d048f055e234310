"""Settings of the walk, and what the kernels of gait and feet share."""

# Warp compiles its kernels from the source; as Python, their types do not fit.
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportIndexIssue=false
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false, reportAssignmentType=false

import math

import warp as wp

from rlmpc.mpc.srb import GRAVITY
from rlmpc.mpc.walk_settings import WalkSettings


@wp.struct
class Walking:
    """Settings of the walk, by the names of `WalkSettings`."""

    physics_dt: float
    swing_fraction: float
    start_delay_s: float
    stop_delay_s: float
    push_m: wp.vec2
    hurry_gain: float
    touch_force_n: float
    early_share: float
    latest_s: float
    step_width_m: float
    reach_m: float
    press_m: float
    sideways_m: wp.vec2
    swing_stiffness: float
    swing_acceleration: wp.vec2
    sink_speed: float
    upright_gain: float
    both_down: float
    """Part of the cycle that both feet are down before each swing, to the bit that of the torch code: feet lift at once
    at this phase."""
    falling_rate: float
    """[1/s] of the pendulum: the root of gravity over height of the centre of mass."""


def walking(walk: WalkSettings, com_height: float) -> Walking:
    """Return the settings as kernels take them."""
    values = Walking()
    for name, value in vars(walk).items():
        if hasattr(values, name):
            setattr(values, name, wp.vec2(*value) if isinstance(value, list) else value)
    values.both_down = 0.5 - walk.swing_fraction
    values.falling_rate = math.sqrt(GRAVITY / com_height)
    return values


@wp.func
def within(value: float, low: float, high: float) -> float:
    """Clip as torch does: what is not a number stays so."""
    if value < low:
        return low
    if value > high:
        return high
    return value


@wp.func
def level_of(vector: wp.vec3) -> wp.vec2:
    return wp.vec2(vector[0], vector[1])


@wp.func
def turned(vector: wp.vec2, yaw: float) -> wp.vec2:
    """Return a level vector turned by a yaw."""
    cos, sin = wp.cos(yaw), wp.sin(yaw)
    return wp.vec2(cos * vector[0] - sin * vector[1], sin * vector[0] + cos * vector[1])


@wp.func
def capture_point(com: wp.vec3, com_vel: wp.vec3, walk: Walking) -> wp.vec2:
    return level_of(com) + level_of(com_vel) / walk.falling_rate


@wp.func
def share_of(phase: float, foot: int, walk: Walking) -> float:
    """Return how much of a foot's swing has passed; see `Gait.window`."""
    own = phase - 0.5 * float(foot)
    return (own - wp.floor(own) - walk.both_down) / walk.swing_fraction


@wp.func
def is_in_window(phase: float, share: float) -> bool:
    return phase >= 0.0 and share >= 0.0 and share < 1.0
