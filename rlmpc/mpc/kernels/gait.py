"""One step of gait, footholds and swing paths; `rlmpc.mpc.gait`, `foothold` and `swing` are the reference."""

# Warp compiles its kernels from the source; as Python, their types do not fit.
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportIndexIssue=false
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false

import math

import torch
import warp as wp
from torch import Tensor

from rlmpc.mpc.foothold import SETTLING_S
from rlmpc.mpc.gait import MAX_LATE_START, Gait
from rlmpc.mpc.kernels.launching import launch
from rlmpc.mpc.legs import LegState
from rlmpc.mpc.momentum import WholeBody
from rlmpc.mpc.parameters import Parameters
from rlmpc.mpc.reference import Reference
from rlmpc.mpc.srb import GRAVITY
from rlmpc.mpc.swing import FootPath, Swing
from rlmpc.mpc.walk_settings import WalkSettings

_SETTLING_S = wp.constant(SETTLING_S)
_MAX_LATE_START = wp.constant(MAX_LATE_START)
_TURN = wp.constant(2.0 * math.pi)


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
    falling_rate: float
    """[1/s] of the pendulum: the root of gravity over height of the centre of mass."""


def walking(walk: WalkSettings, com_height: float) -> Walking:
    """Return the settings as kernels take them."""
    values = Walking()
    for name, value in vars(walk).items():
        if hasattr(values, name):
            setattr(values, name, wp.vec2(*value) if isinstance(value, list) else value)
    values.falling_rate = math.sqrt(GRAVITY / com_height)
    return values


def step_gait(
    walk: Walking,
    gait: Gait,
    swing: Swing,
    reference: Reference,
    parameters: Parameters,
    legs: LegState,
    whole: WholeBody,
    sole_force: Tensor,
) -> FootPath:
    """Let gait and footholds go on by one physics step, in place, and return where the feet should be.

    Args:
        walk: settings.
        gait: clock and contacts.
        swing: footholds.
        reference: heading and command.
        parameters: of the last plan.
        legs: of the robots.
        whole: sums over all links.
        sole_force: normal forces on the soles [N] (B, 2).
    """
    num_envs, device = len(sole_force), sole_force.device

    def made(*shape: int) -> Tensor:
        return torch.empty(num_envs, 2, *shape, device=device)

    path = FootPath(made(3), made(), made(6), made(6))
    launch(
        _lift_and_land, (num_envs,), device,
        walk, whole.com, whole.com_vel, legs.sole_pos, legs.sole_rot, sole_force,
        reference.yaw, parameters.period, parameters.steps,
        gait.phase, gait.is_stepping, gait.stepping_s, gait.idle_s, gait.is_swinging, gait.has_landed,
        gait.was_in_window, gait.lift_share, gait.late_s, swing.lift_pos, swing.lift_yaw, swing.foothold,
    )  # fmt: skip
    launch(
        _swing_feet, (num_envs,), device,
        walk, whole.com, whole.com_vel, legs.sole_pos, reference.yaw, reference.command,
        parameters.period, parameters.swing_height, parameters.swing_shape, parameters.foothold_offset,
        parameters.foothold_rise, gait.is_stepping, gait.is_swinging, gait.lift_share, gait.late_s, swing.lift_pos,
        swing.lift_yaw, gait.phase, gait.rate, swing.foothold, *vars(path).values(),
    )  # fmt: skip
    return path


@wp.func
def within(value: float, low: float, high: float) -> float:
    """Clip as torch does: what is not a number stays so."""
    if value < low:
        return low
    if value > high:
        return high
    return value


@wp.func
def _level(vector: wp.vec3) -> wp.vec2:
    return wp.vec2(vector[0], vector[1])


@wp.func
def _turned(vector: wp.vec2, yaw: float) -> wp.vec2:
    """Return a level vector turned by a yaw."""
    cos, sin = wp.cos(yaw), wp.sin(yaw)
    return wp.vec2(cos * vector[0] - sin * vector[1], sin * vector[0] + cos * vector[1])


@wp.func
def _capture_point(com: wp.vec3, com_vel: wp.vec3, walk: Walking) -> wp.vec2:
    return _level(com) + _level(com_vel) / walk.falling_rate


@wp.func
def _share(phase: float, foot: int, walk: Walking) -> float:
    """Return how much of a foot's swing has passed; see `Gait.window`."""
    own = phase - 0.5 * float(foot)
    return (own - wp.floor(own) - (0.5 - walk.swing_fraction)) / walk.swing_fraction


@wp.func
def _is_in_window(phase: float, share: float) -> bool:
    return phase >= 0.0 and share >= 0.0 and share < 1.0


@wp.func
def _decide(
    env: int,
    walk: Walking,
    point: wp.vec2,
    left: wp.vec2,
    right: wp.vec2,
    yaw: float,
    speed: float,
    is_wanted: bool,
    is_swinging: bool,
    period: float,
    phase: wp.array[float],
    is_stepping: wp.array[bool],
    stepping_s: wp.array[float],
    idle_s: wp.array[float],
):
    """Start or end stepping; see `Gait.decide`."""
    offset = _turned(point - 0.5 * (left + right), -yaw)
    is_pushed = wp.abs(offset[0]) > walk.push_m[0] or wp.abs(offset[1]) > walk.push_m[1]
    has_reason = is_wanted or is_pushed
    starts = has_reason and not is_stepping[env]
    both_down = 0.5 - walk.swing_fraction
    if starts:
        phase[env] = both_down - walk.start_delay_s / period
    if is_pushed and phase[env] < 0.0:
        phase[env] = both_down
        if wp.length(point - right) > wp.length(point - left):
            phase[env] = both_down + 0.5
    idle_s[env] = wp.where(has_reason, 0.0, idle_s[env] + walk.physics_dt)
    is_calm = speed < 0.15 and wp.length(offset) < 0.05 and not is_swinging
    ends = is_calm and idle_s[env] > walk.stop_delay_s
    is_stepping[env] = (is_stepping[env] or starts) and not ends
    stepping_s[env] = wp.where(is_stepping[env] and not starts, stepping_s[env] + walk.physics_dt, 0.0)


@wp.kernel(enable_backward=False)
def _lift_and_land(
    walk: Walking,
    com: wp.array[wp.vec3],
    com_vel: wp.array[wp.vec3],
    sole_pos: wp.array2d[wp.vec3],
    sole_rot: wp.array2d[wp.mat33],
    sole_force: wp.array2d[float],
    yaw: wp.array[float],
    period: wp.array[float],
    steps: wp.array[bool],
    phase: wp.array[float],
    is_stepping: wp.array[bool],
    stepping_s: wp.array[float],
    idle_s: wp.array[float],
    is_swinging: wp.array2d[bool],
    has_landed: wp.array2d[bool],
    was_in_window: wp.array2d[bool],
    lift_share: wp.array2d[float],
    late_s: wp.array2d[float],
    lift_pos: wp.array2d[wp.vec3],
    lift_yaw: wp.array2d[float],
    foothold: wp.array2d[wp.vec3],
):
    """Do `Controller._decide`, `Gait.touch` and `Swing.lift`."""
    env = wp.tid()
    left, right = bool(is_swinging[env, 0]), bool(is_swinging[env, 1])
    _decide(
        env, walk, _capture_point(com[env], com_vel[env], walk), _level(sole_pos[env, 0]), _level(sole_pos[env, 1]),
        yaw[env], wp.length(_level(com_vel[env])), steps[env], left or right, period[env],
        phase, is_stepping, stepping_s, idle_s,
    )  # fmt: skip
    for foot in range(2):
        swings = is_swinging[env, foot]
        other_swings = wp.where(foot == 0, right, left)
        share = _share(phase[env], foot, walk)
        in_window = is_stepping[env] and _is_in_window(phase[env], share)
        has_landed[env, foot] = has_landed[env, foot] and (was_in_window[env, foot] or not in_window)
        was_in_window[env, foot] = in_window
        touches = sole_force[env, foot] > walk.touch_force_n
        early = swings and in_window and touches and share > walk.early_share
        is_late = swings and not in_window
        late_s[env, foot] = wp.where(is_late, late_s[env, foot] + walk.physics_dt, 0.0)
        lands = early or (is_late and (touches or late_s[env, foot] > walk.latest_s))
        may_lift = not (swings or other_swings or has_landed[env, foot])
        lifts = in_window and may_lift and share < _MAX_LATE_START
        has_landed[env, foot] = has_landed[env, foot] or early
        is_swinging[env, foot] = (swings and not lands) or lifts
        if lifts:
            lift_share[env, foot] = share
            lift_yaw[env, foot] = wp.atan2(sole_rot[env, foot][1, 0], sole_rot[env, foot][0, 0])
            lift_pos[env, foot] = sole_pos[env, foot]
            foothold[env, foot] = sole_pos[env, foot]


@wp.func
def _from_other(
    walk: Walking, foot: int, point: wp.vec2, left_s: float, command: wp.vec3, period: float
) -> wp.vec3:
    """Return the foothold within reach and how far the wanted one is from the nominal one; see `footholds`."""
    side, step_s = 1.0 - 2.0 * float(foot), 0.5 * period
    growth = wp.exp(walk.falling_rate * step_s)
    offset = wp.vec2(
        command[0] * step_s / (growth - 1.0),
        command[1] * step_s / (growth - 1.0) - side * walk.step_width_m / (1.0 + growth),
    )
    wanted = point * wp.exp(walk.falling_rate * (left_s + _SETTLING_S)) - offset
    nominal = wp.vec2(command[0] * step_s, side * walk.step_width_m + command[1] * step_s)
    forward = within(wanted[0], -walk.reach_m, walk.reach_m)
    sideways = side * within(side * wanted[1], walk.sideways_m[0], walk.sideways_m[1])
    return wp.vec3(forward, sideways, wp.length(wanted - nominal))


@wp.func
def _along(factor: float, up: float, way: wp.vec3, turn: float) -> wp.spatial_vector:
    return wp.spatial_vector(factor * way[0], factor * way[1], factor * way[2] + up, 0.0, 0.0, factor * turn)


@wp.func
def _follow(
    env: int,
    foot: int,
    walk: Walking,
    share: float,
    rate: float,
    late_s: float,
    height: float,
    shape: float,
    way: wp.vec3,
    turn: float,
    start: wp.vec3,
    start_yaw: float,
    path_pos: wp.array2d[wp.vec3],
    path_yaw: wp.array2d[float],
    path_twist: wp.array2d[wp.spatial_vector],
    path_acc: wp.array2d[wp.spatial_vector],
):
    """Write where a foot should be; see `Swing.path`."""
    speed = wp.where(share < 1.0, rate, 0.0)
    left = 1.0 - share
    blend = share * share * share * (10.0 - 15.0 * share + 6.0 * share * share)
    blend_rate = 30.0 * share * share * left * left * speed
    blend_acc = 60.0 * share * left * (1.0 - 2.0 * share) * speed * speed
    angle = _TURN * (share + shape * share * left)
    angle_rate = _TURN * (1.0 + shape * (1.0 - 2.0 * share)) * speed
    angle_acc = -2.0 * _TURN * shape * speed * speed
    up = 0.5 * height * (1.0 - wp.cos(angle)) - walk.sink_speed * late_s
    up_rate = 0.5 * height * wp.sin(angle) * angle_rate - wp.where(late_s > 0.0, walk.sink_speed, 0.0)
    up_acc = 0.5 * height * (wp.cos(angle) * angle_rate * angle_rate + wp.sin(angle) * angle_acc)
    path_pos[env, foot] = start + blend * way + wp.vec3(0.0, 0.0, up)
    path_yaw[env, foot] = start_yaw + blend * turn
    path_twist[env, foot] = _along(blend_rate, up_rate, way, turn)
    path_acc[env, foot] = _along(blend_acc, up_acc, way, turn)


@wp.kernel(enable_backward=False)
def _swing_feet(
    walk: Walking,
    com: wp.array[wp.vec3],
    com_vel: wp.array[wp.vec3],
    sole_pos: wp.array2d[wp.vec3],
    yaw: wp.array[float],
    command: wp.array[wp.vec3],
    period: wp.array[float],
    height: wp.array[float],
    shape: wp.array[float],
    offset: wp.array2d[wp.vec2],
    rise: wp.array2d[float],
    is_stepping: wp.array[bool],
    is_swinging: wp.array2d[bool],
    lift_share: wp.array2d[float],
    late_s: wp.array2d[float],
    lift_pos: wp.array2d[wp.vec3],
    lift_yaw: wp.array2d[float],
    phase: wp.array[float],
    rate: wp.array[float],
    foothold: wp.array2d[wp.vec3],
    path_pos: wp.array2d[wp.vec3],
    path_yaw: wp.array2d[float],
    path_twist: wp.array2d[wp.spatial_vector],
    path_acc: wp.array2d[wp.spatial_vector],
):
    """Do `Controller._place`, `Gait.share`, `Swing.path` and `Gait.advance`."""
    env = wp.tid()
    point = _capture_point(com[env], com_vel[env], walk)
    error, swings = float(0.0), bool(False)
    for foot in range(2):
        share = _share(phase[env], foot, walk)
        in_window = _is_in_window(phase[env], share)
        if is_swinging[env, foot]:
            left_s = wp.where(in_window, (1.0 - share) * walk.swing_fraction * (period[env] / rate[env]), 0.0)
            other = sole_pos[env, 1 - foot]
            away = _turned(point - _level(other), -yaw[env])
            place = _from_other(walk, foot, away, left_s, command[env], period[env])
            level = _turned(_level(place) + offset[env, foot], yaw[env])
            foothold[env, foot] = other + wp.vec3(level[0], level[1], rise[env, foot] - walk.press_m)
            error += place[2]
            swings = True
        whole = 1.0 - lift_share[env, foot]
        behind = wp.where(in_window, within((share - lift_share[env, foot]) / whole, 0.0, 1.0), 1.0)
        start = lift_pos[env, foot]
        turn = yaw[env] - lift_yaw[env, foot]
        _follow(
            env, foot, walk, behind, rate[env] / (walk.swing_fraction * period[env]) / whole, late_s[env, foot],
            height[env], shape[env], foothold[env, foot] - start, wp.atan2(wp.sin(turn), wp.cos(turn)),
            start, lift_yaw[env, foot], path_pos, path_yaw, path_twist, path_acc,
        )  # fmt: skip
    hurry = 1.0 + walk.hurry_gain * within((error - 0.05) / 0.10, 0.0, 1.0)
    rate[env] = wp.where(swings, hurry, 1.0)
    ahead = phase[env] + rate[env] * walk.physics_dt / period[env]
    phase[env] = wp.where(is_stepping[env], wp.where(ahead >= 1.0, ahead - 1.0, ahead), 0.0)
