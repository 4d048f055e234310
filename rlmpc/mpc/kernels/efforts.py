"""Torques of the legs; `rlmpc.mpc.stance` and `swing` are the reference."""

# Warp compiles its kernels from the source; as Python, their types do not fit.
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportIndexIssue=false
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false, reportAssignmentType=false

import torch
import warp as wp
from torch import Tensor

from rlmpc.mpc.kernels.launching import launch
from rlmpc.mpc.kernels.walking import Walking
from rlmpc.mpc.legs import LegState
from rlmpc.mpc.reference import Reference
from rlmpc.mpc.state import RobotState
from rlmpc.mpc.swing import DAMPING, FootPath

_DAMPING = wp.constant(DAMPING)


def leg_torques(
    walk: Walking,
    state: RobotState,
    legs: LegState,
    path: FootPath,
    reference: Reference,
    is_swinging: Tensor,
    wrench: Tensor,
    root_change: Tensor,
    root_com: Tensor,
    damping: Tensor,
) -> Tensor:
    """Return the torques [N m] of the legs, by whether they swing or carry the robot, (B, 2, 6).

    Args:
        walk: settings.
        state: of the robots.
        legs: of the robots.
        path: of the feet that swing.
        reference: heading and command.
        is_swinging: (B, 2) bool.
        wrench: planned forces [N] and moments [N m] on the soles, world frame (B, 2, 6).
        root_change: planned change of the velocity [m/s] (B, 3).
        root_com: centre of mass in the root's frame [m] (3,).
        damping: of the stance leg's servo [N m s/rad] (6,).
    """
    torques = torch.empty_like(legs.bias)
    launch(
        _torques, tuple(is_swinging.shape), wrench.device,
        walk, state.link_pos, state.link_rot, state.link_com_vel, state.link_ang_vel, *vars(legs).values(),
        *vars(path).values(), reference.yaw, reference.command, is_swinging, wrench, root_change, root_com[None],
        damping[None], torques,
    )  # fmt: skip
    return torques


@wp.func
def _about_z(yaw: float) -> wp.mat33:
    cos, sin = wp.cos(yaw), wp.sin(yaw)
    return wp.mat33(cos, -sin, 0.0, sin, cos, 0.0, 0.0, 0.0, 1.0)


@wp.func
def _rotation_vector(turn: wp.mat33) -> wp.vec3:
    """Return axis times angle [rad], for angles below pi."""
    axis = 0.5 * wp.vec3(turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1])
    sin = wp.length(axis)
    if sin > 1.0e-6:
        axis *= wp.atan2(sin, 0.5 * (wp.trace(turn) - 1.0)) / sin
    return axis


@wp.func
def _shortened(vector: wp.vec3, longest: float) -> wp.vec3:
    length = wp.length(vector)
    if length > longest:
        vector *= longest / length
    return vector


@wp.func
def _joint_motion(jacobian: wp.spatial_matrix, motion: wp.spatial_vector) -> wp.spatial_vector:
    """Return the joints' motion that moves the sole so, damped near a straight leg, by Gauss-Jordan elimination."""
    square = wp.transpose(jacobian) * jacobian
    right = wp.transpose(jacobian) * motion
    for k in range(6):
        square[k, k] = square[k, k] + _DAMPING
    for k in range(6):
        for i in range(6):
            if i != k:
                factor = square[i, k] / square[k, k]
                square[i] = square[i] - factor * square[k]
                right[i] = right[i] - factor * right[k]
    for k in range(6):
        right[k] = right[k] / square[k, k]
    return right


@wp.kernel(enable_backward=False)
def _torques(
    walk: Walking,
    link_pos: wp.array2d[wp.vec3],
    link_rot: wp.array2d[wp.mat33],
    link_com_vel: wp.array2d[wp.vec3],
    link_ang_vel: wp.array2d[wp.vec3],
    sole_pos: wp.array2d[wp.vec3],
    sole_rot: wp.array2d[wp.mat33],
    sole_twist: wp.array2d[wp.spatial_vector],
    sole_bias: wp.array2d[wp.spatial_vector],
    jacobian: wp.array2d[wp.spatial_matrix],
    inertia: wp.array2d[wp.spatial_matrix],
    bias: wp.array2d[wp.spatial_vector],
    joint_vel: wp.array2d[wp.spatial_vector],
    path_pos: wp.array2d[wp.vec3],
    path_yaw: wp.array2d[float],
    path_twist: wp.array2d[wp.spatial_vector],
    path_acc: wp.array2d[wp.spatial_vector],
    yaw: wp.array[float],
    command: wp.array[wp.vec3],
    is_swinging: wp.array2d[bool],
    wrench: wp.array2d[wp.spatial_vector],
    root_change: wp.array[wp.vec3],
    root_com: wp.array[wp.vec3],
    damping: wp.array[wp.spatial_vector],
    torques: wp.array2d[wp.spatial_vector],
):
    env, leg = wp.tid()
    if is_swinging[env, leg]:
        turn = _about_z(path_yaw[env, leg]) * wp.transpose(sole_rot[env, leg])
        error = wp.spatial_vector(path_pos[env, leg] - sole_pos[env, leg], _rotation_vector(turn))
        gain = walk.swing_stiffness
        acc = path_acc[env, leg] + gain * gain * error + 2.0 * gain * (path_twist[env, leg] - sole_twist[env, leg])
        acc = wp.spatial_vector(
            _shortened(wp.spatial_top(acc), walk.swing_acceleration[0]),
            _shortened(wp.spatial_bottom(acc), walk.swing_acceleration[1]),
        )
        joint_acc = _joint_motion(jacobian[env, leg], acc - sole_bias[env, leg])
        torques[env, leg] = inertia[env, leg] * joint_acc + bias[env, leg]
    else:
        root = link_rot[env, 0]
        linear = link_com_vel[env, 0] - wp.cross(link_ang_vel[env, 0], root * root_com[0]) + root_change[env]
        angular = -walk.upright_gain * _rotation_vector(root * _about_z(-yaw[env]))
        angular += wp.vec3(0.0, 0.0, command[env][2])
        carried = wp.spatial_vector(linear + wp.cross(angular, sole_pos[env, leg] - link_pos[env, 0]), angular)
        servo = _joint_motion(jacobian[env, leg], -carried) - joint_vel[env, leg]
        pressed = bias[env, leg] - wp.transpose(jacobian[env, leg]) * wrench[env, leg]
        torques[env, leg] = pressed + wp.cw_mul(damping[0], servo)
