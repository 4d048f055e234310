"""Kinematics and dynamics of the legs, and sums over all links; `rlmpc.mpc.legs` and `momentum` are the reference."""

# Warp compiles its kernels from the source; as Python, their types do not fit.
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportIndexIssue=false
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false, reportAssignmentType=false, reportInvalidTypeForm=false

import torch
import warp as wp

from rlmpc.mpc.kernels.launching import launch
from rlmpc.mpc.legs import Legs, LegState
from rlmpc.mpc.momentum import Momentum, WholeBody
from rlmpc.mpc.srb import GRAVITY
from rlmpc.mpc.state import RobotState

_GRAVITY = wp.constant(GRAVITY)
_Six = wp.types.matrix(shape=(6, 3), dtype=float)
"""A vector for each joint of a leg."""


def leg_state(legs: Legs, state: RobotState) -> LegState:
    """Return what `legs(state)` does."""
    num_envs, device = len(state.link_pos), state.link_pos.device

    def made(*shape: int) -> torch.Tensor:
        return torch.empty(num_envs, 2, *shape, device=device)

    result = LegState(made(3), made(3, 3), made(6), made(6), made(6, 6), made(6, 6), made(6), made(6))
    launch(
        _legs, (num_envs, 2), device,
        state.link_pos, state.link_rot, state.link_com_vel, state.link_ang_vel, state.joint_vel,
        legs.links, legs.joints, legs.mass, legs.com, legs.link_inertia, legs.axis, legs.sole, legs.rotors,
        *vars(result).values(),
    )  # fmt: skip
    return result


def whole_body(momentum: Momentum, state: RobotState) -> WholeBody:
    """Return what `momentum(state)` does."""
    (num_envs, num_joints), device = state.joint_vel.shape, state.link_pos.device
    sums = [torch.empty(num_envs, 3, device=device) for _ in range(3)]
    torque = torch.empty(num_envs, num_joints, device=device)
    launch(
        _sums, (num_envs,), device,
        state.link_pos, state.link_rot, state.link_com_vel, state.link_ang_vel,
        momentum.mass, momentum.com, momentum.link_inertia, momentum.total, *sums,
    )  # fmt: skip
    launch(
        _gravity_torques, (num_envs, num_joints), device,
        state.link_pos, state.link_rot, momentum.com, momentum.axis, momentum.joint_link, momentum.carried_mass, torque,
    )  # fmt: skip
    return WholeBody(*sums, torque)


def matrices(quat: torch.Tensor) -> torch.Tensor:
    """Return the rotation matrices (B, L, 3, 3) of unit quaternions (x, y, z, w), (B, L, 4)."""
    result = torch.empty(*quat.shape[:2], 3, 3, device=quat.device)
    launch(_matrices, tuple(quat.shape[:2]), quat.device, quat, result)
    return result


@wp.kernel(enable_backward=False)
def _matrices(quat: wp.array2d[wp.quat], matrix: wp.array2d[wp.mat33]):
    env, link = wp.tid()
    matrix[env, link] = wp.quat_to_matrix(quat[env, link])


@wp.func
def _turning(alpha: wp.vec3, omega: wp.vec3, arm: wp.vec3) -> wp.vec3:
    """Return the acceleration of a point at `arm` from the origin of a body that turns."""
    return wp.cross(alpha, arm) + wp.cross(omega, wp.cross(omega, arm))


@wp.func
def _moved(inertia: wp.mat33, first: wp.vec3, mass: float, arm: wp.vec3) -> wp.mat33:
    """Return the inertia about a point from which `arm` leads to that of `inertia`; `first`: mass by distance."""
    level = (2.0 * wp.dot(first, arm) + mass * wp.dot(arm, arm)) * wp.identity(3, float)
    return inertia + level - wp.outer(first, arm) - wp.outer(arm, first) - mass * wp.outer(arm, arm)


@wp.kernel(enable_backward=False)
def _legs(
    link_pos: wp.array2d[wp.vec3],
    link_rot: wp.array2d[wp.mat33],
    link_com_vel: wp.array2d[wp.vec3],
    link_ang_vel: wp.array2d[wp.vec3],
    joint_vel: wp.array2d[float],
    links: wp.array2d[wp.int64],
    joints: wp.array2d[wp.int64],
    mass: wp.array2d[float],
    com: wp.array2d[wp.vec3],
    link_inertia: wp.array2d[wp.mat33],
    axis: wp.array2d[wp.vec3],
    sole: wp.array[wp.vec3],
    rotors: wp.array[wp.spatial_matrix],
    sole_pos: wp.array2d[wp.vec3],
    sole_rot: wp.array2d[wp.mat33],
    sole_twist: wp.array2d[wp.spatial_vector],
    sole_bias: wp.array2d[wp.spatial_vector],
    jacobian: wp.array2d[wp.spatial_matrix],
    inertia: wp.array2d[wp.spatial_matrix],
    bias: wp.array2d[wp.spatial_vector],
    leg_vel: wp.array2d[wp.spatial_vector],
):
    env, leg = wp.tid()
    places, axes, forces, moments = _Six(), _Six(), _Six(), _Six()
    speeds, acc, alpha, arm = wp.spatial_vector(), wp.vec3(), wp.vec3(), wp.vec3()
    pos = link_pos[env, 0]
    omega = link_ang_vel[env, 0]
    turn = link_rot[env, 0]
    # From the root to the foot, if root and joints do not accelerate. Places are relative to the root, as far from the
    # world's origin differences would be lost.
    for i in range(6):
        link = int(links[leg, i])
        speeds[i] = joint_vel[env, int(joints[leg, i])]
        turn = link_rot[env, link]
        along = turn * axis[leg, i]
        arm = turn * com[leg, i]
        acc += _turning(alpha, omega, link_pos[env, link] - pos)
        alpha += wp.cross(omega, along * speeds[i])
        pos = link_pos[env, link]
        omega = link_ang_vel[env, link]
        force = mass[leg, i] * (acc + _turning(alpha, omega, arm) + wp.vec3(0.0, 0.0, _GRAVITY))
        # In the link's frame, where its inertia is a constant.
        back = wp.transpose(turn)
        own = link_inertia[leg, i]
        spin = back * omega
        moment = turn * (own * (back * alpha) + wp.cross(spin, own * spin))
        places[i] = pos - link_pos[env, 0]
        axes[i] = along
        forces[i] = force
        moments[i] = moment + wp.cross(arm, force)
    reach = turn * sole[leg]
    foot_vel = link_com_vel[env, int(links[leg, 5])] + wp.cross(omega, reach - arm)
    sole_pos[env, leg] = pos + reach
    sole_rot[env, leg] = turn
    sole_twist[env, leg] = wp.spatial_vector(foot_vel, omega)
    sole_bias[env, leg] = wp.spatial_vector(acc + _turning(alpha, omega, reach), alpha)
    leg_vel[env, leg] = speeds
    jacobian[env, leg] = _jacobian(places, axes, places[5] + reach)
    _carry(env, leg, links, link_rot, mass, com, link_inertia, rotors, places, axes, forces, moments, inertia, bias)


@wp.func
def _jacobian(places: _Six, axes: _Six, point: wp.vec3) -> wp.spatial_matrix:
    """Return the twists at a point by a unit of each joint's velocity, as columns."""
    result = wp.spatial_matrix()
    for j in range(6):
        linear = wp.cross(axes[j], point - places[j])
        for k in range(3):
            result[k, j] = linear[k]
            result[k + 3, j] = axes[j][k]
    return result


@wp.func
def _carry(
    env: int,
    leg: int,
    links: wp.array2d[wp.int64],
    link_rot: wp.array2d[wp.mat33],
    mass: wp.array2d[float],
    com: wp.array2d[wp.vec3],
    link_inertia: wp.array2d[wp.mat33],
    rotors: wp.array[wp.spatial_matrix],
    places: _Six,
    axes: _Six,
    forces: _Six,
    moments: _Six,
    inertia: wp.array2d[wp.spatial_matrix],
    bias: wp.array2d[wp.spatial_vector],
):
    """Add up what each joint carries, from the foot to the root: forces, and links as one rigid body.

    `moments` are about the links' origins. So are the sums: of forces, of mass times distance, of inertia.
    """
    matrix = rotors[leg]
    torques = wp.spatial_vector()
    force, moment = wp.vec3(), wp.vec3()
    total, first, second = 0.0, wp.vec3(), wp.mat33()
    before = places[5]
    for j in range(5, -1, -1):
        here = places[j]
        along = axes[j]
        moment += wp.cross(before - here, force) + moments[j]
        force += forces[j]
        torques[j] = wp.dot(along, moment)
        second = _moved(second, first, total, before - here)
        first += total * (before - here)
        turn = link_rot[env, int(links[leg, j])]
        arm = turn * com[leg, j]
        second += _moved(turn * link_inertia[leg, j] * wp.transpose(turn), wp.vec3(), mass[leg, j], arm)
        first += mass[leg, j] * arm
        total += mass[leg, j]
        # Momentum about the joint by a unit of its velocity.
        linear = wp.cross(along, first)
        angular = second * along
        for i in range(6):
            if i <= j:
                share = wp.dot(axes[i], angular + wp.cross(here - places[i], linear))
                matrix[i, j] += share
                if i < j:
                    matrix[j, i] += share
        before = here
    inertia[env, leg] = matrix
    bias[env, leg] = torques


@wp.kernel(enable_backward=False)
def _sums(
    link_pos: wp.array2d[wp.vec3],
    link_rot: wp.array2d[wp.mat33],
    link_com_vel: wp.array2d[wp.vec3],
    link_ang_vel: wp.array2d[wp.vec3],
    mass: wp.array2d[float],
    com: wp.array[wp.vec3],
    link_inertia: wp.array[wp.mat33],
    total: float,
    total_com: wp.array[wp.vec3],
    total_com_vel: wp.array[wp.vec3],
    angular_momentum: wp.array[wp.vec3],
):
    env = wp.tid()
    # Relative to the root, as in the legs.
    origin = link_pos[env, 0]
    drift = link_com_vel[env, 0]
    first, linear, angular = wp.vec3(), wp.vec3(), wp.vec3()
    for link in range(link_pos.shape[1]):
        turn = link_rot[env, link]
        arm = link_pos[env, link] - origin + turn * com[link]
        momentum = mass[link, 0] * (link_com_vel[env, link] - drift)
        spin = turn * (link_inertia[link] * (wp.transpose(turn) * link_ang_vel[env, link]))
        first += mass[link, 0] * arm
        linear += momentum
        angular += spin + wp.cross(arm, momentum)
    total_com[env] = origin + first / total
    total_com_vel[env] = drift + linear / total
    angular_momentum[env] = angular - wp.cross(first / total, linear)


@wp.kernel(enable_backward=False)
def _gravity_torques(
    link_pos: wp.array2d[wp.vec3],
    link_rot: wp.array2d[wp.mat33],
    com: wp.array[wp.vec3],
    axis: wp.array[wp.vec3],
    joint_link: wp.array[wp.int64],
    carried_mass: wp.array2d[float],
    torque: wp.array2d[float],
):
    env, joint = wp.tid()
    own = int(joint_link[joint])
    moment = wp.vec3()
    for link in range(link_pos.shape[1]):
        mass = carried_mass[joint, link]
        if mass > 0.0:
            moment += mass * (link_pos[env, link] - link_pos[env, own] + link_rot[env, link] * com[link])
    along = link_rot[env, own] * axis[joint]
    torque[env, joint] = _GRAVITY * (along[0] * moment[1] - along[1] * moment[0])
