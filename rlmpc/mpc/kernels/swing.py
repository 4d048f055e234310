"""Footholds and paths of the swinging feet; `rlmpc.mpc.foothold` and `swing` are the reference."""

# Warp compiles its kernels from the source; as Python, their types do not fit.
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportIndexIssue=false
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false, reportAssignmentType=false

import math

import torch
import warp as wp
from torch import Tensor

from rlmpc.mpc.foothold import SETTLING_S
from rlmpc.mpc.gait import Gait
from rlmpc.mpc.kernels.launching import launch
from rlmpc.mpc.kernels.walking import Walking, capture_point, is_in_window, level_of, share_of, turned, within
from rlmpc.mpc.legs import LegState
from rlmpc.mpc.momentum import WholeBody
from rlmpc.mpc.parameters import Parameters
from rlmpc.mpc.reference import Reference
from rlmpc.mpc.swing import FootPath, Swing

_SETTLING_S = wp.constant(SETTLING_S)
_TURN = wp.constant(2.0 * math.pi)


def swing_feet(
    walk: Walking,
    gait: Gait,
    swing: Swing,
    reference: Reference,
    parameters: Parameters,
    legs: LegState,
    whole: WholeBody,
) -> FootPath:
    """Set the footholds and let the clock go on by one physics step, in place; return where the feet should be."""
    num_envs, device = len(whole.com), whole.com.device

    def made(*shape: int) -> Tensor:
        return torch.empty(num_envs, 2, *shape, device=device)

    path = FootPath(made(3), made(), made(6), made(6))
    launch(
        _swing_feet, (num_envs,), device,
        walk, whole.com, whole.com_vel, legs.sole_pos, reference.yaw, reference.command,
        parameters.period, parameters.swing_height, parameters.swing_shape, parameters.foothold_offset,
        parameters.foothold_rise, gait.is_stepping, gait.is_swinging, gait.lift_share, gait.late_s, swing.lift_pos,
        swing.lift_yaw, gait.phase, gait.rate, swing.foothold, *vars(path).values(),
    )  # fmt: skip
    return path


@wp.func
def _from_other(walk: Walking, foot: int, point: wp.vec2, left_s: float, command: wp.vec3, period: float) -> wp.vec3:
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
    point = capture_point(com[env], com_vel[env], walk)
    error, swings = 0.0, False
    for foot in range(2):
        share = share_of(phase[env], foot, walk)
        in_window = is_in_window(phase[env], share)
        if is_swinging[env, foot]:
            left_s = wp.where(in_window, (1.0 - share) * walk.swing_fraction * (period[env] / rate[env]), 0.0)
            other = sole_pos[env, 1 - foot]
            away = turned(point - level_of(other), -yaw[env])
            place = _from_other(walk, foot, away, left_s, command[env], period[env])
            level = turned(level_of(place) + offset[env, foot], yaw[env])
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
