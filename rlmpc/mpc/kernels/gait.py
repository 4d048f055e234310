"""Lets the gait go on by a physics step; `rlmpc.mpc.gait` is the reference."""

# Warp compiles its kernels from the source; as Python, their types do not fit.
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportIndexIssue=false
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false, reportAssignmentType=false

import warp as wp
from torch import Tensor

from rlmpc.mpc.gait import MAX_LATE_START, Gait
from rlmpc.mpc.kernels.launching import launch
from rlmpc.mpc.kernels.walking import Walking, capture_point, is_in_window, level_of, share_of, turned
from rlmpc.mpc.legs import LegState
from rlmpc.mpc.momentum import WholeBody
from rlmpc.mpc.parameters import Parameters
from rlmpc.mpc.reference import Reference
from rlmpc.mpc.swing import Swing

_MAX_LATE_START = wp.constant(MAX_LATE_START)


def lift_and_land(
    walk: Walking,
    gait: Gait,
    swing: Swing,
    reference: Reference,
    parameters: Parameters,
    legs: LegState,
    whole: WholeBody,
    sole_force: Tensor,
) -> None:
    """Start or end stepping, lift feet and let them land, in place; `sole_force`: (B, 2) [N]."""
    launch(
        _lift_and_land, (len(sole_force),), sole_force.device,
        walk, whole.com, whole.com_vel, legs.sole_pos, legs.sole_rot, sole_force,
        reference.yaw, parameters.period, parameters.steps,
        gait.phase, gait.is_stepping, gait.stepping_s, gait.idle_s, gait.is_swinging, gait.has_landed,
        gait.was_in_window, gait.lift_share, gait.late_s, swing.lift_pos, swing.lift_yaw, swing.foothold,
    )  # fmt: skip


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
    offset = turned(point - 0.5 * (left + right), -yaw)
    is_pushed = wp.abs(offset[0]) > walk.push_m[0] or wp.abs(offset[1]) > walk.push_m[1]
    has_reason = is_wanted or is_pushed
    starts = has_reason and not is_stepping[env]
    if starts:
        phase[env] = walk.both_down - walk.start_delay_s / period
    if is_pushed and phase[env] < 0.0:
        phase[env] = walk.both_down
        if wp.length(point - right) > wp.length(point - left):
            phase[env] = walk.both_down + 0.5
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
        env, walk, capture_point(com[env], com_vel[env], walk), level_of(sole_pos[env, 0]), level_of(sole_pos[env, 1]),
        yaw[env], wp.length(level_of(com_vel[env])), steps[env], left or right, period[env],
        phase, is_stepping, stepping_s, idle_s,
    )  # fmt: skip
    for foot in range(2):
        swings = is_swinging[env, foot]
        other_swings = wp.where(foot == 0, right, left)
        share = share_of(phase[env], foot, walk)
        in_window = is_stepping[env] and is_in_window(phase[env], share)
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
