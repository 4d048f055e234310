"""Problems of the predictive controller, and the same written densely for solvers of quadratic programmes.

The dense form is made apart from the controller's own: in the world, in float64, from A and B of every step, with the
constraints as rows of a matrix.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rlmpc.mpc.body import Body
from rlmpc.mpc.settings import MpcSettings

G1 = Body(33.34, ((3.523, 0.0, 0.274), (0.0, 3.162, 0.0), (0.274, 0.0, 0.542)), 0.09, 0.03)
"""About the Unitree G1 in its default pose; problems need some robot, not this one."""
RECORDED = Path(__file__).resolve().parents[1] / "tests" / "mpc" / "recorded.npz"
"""Problems of robots that stand, step, walk and turn in MuJoCo and are pushed; see `recorded_problems`."""
PERIOD_S = 0.56
SWING = 3 / 7
"""Part of the period in which a foot swings."""
HALF_STANCE_M = 0.1
GRAVITY = 9.81


class Problems(NamedTuple):
    """Arguments of `Predictive.solve`."""

    state: Tensor
    feet: Tensor
    contacts: Tensor
    reference: Tensor
    friction: Tensor

    def rows(self, chosen: slice) -> Problems:
        """Return some of the problems."""
        return Problems(*(tensor[chosen] for tensor in self))

    def doubled(self) -> Problems:
        """Return the problems in float64."""
        return Problems(*(tensor.double() if tensor.is_floating_point() else tensor for tensor in self))


def random_problems(num: int, seed: int, settings: MpcSettings) -> Problems:
    """Draw robots that walk, lean, slip and are pushed, at any phase of the gait; one in five has both feet down."""
    draw = np.random.default_rng(seed)
    steps, step_s = settings.horizon, settings.step_s

    def between(*limits: float) -> np.ndarray:
        return draw.uniform(-1.0, 1.0, (num, len(limits))) * limits

    command, yaw = between(0.8, 0.3, 0.5), between(math.pi)[:, 0]
    turn = np.zeros((num, 3, 3))
    turn[:, 0, 0], turn[:, 0, 1], turn[:, 1, 0], turn[:, 1, 1] = np.cos(yaw), -np.sin(yaw), np.sin(yaw), np.cos(yaw)
    turn[:, 2, 2] = 1.0
    place = between(50.0, 50.0, 0.0)
    going = np.pad(command[:, :2], ((0, 0), (0, 1)))
    state = np.zeros((num, 12))
    state[:, :2], state[:, 2], state[:, 3:6] = between(0.15, 0.15), yaw, place
    state[:, 5] = settings.com_height + between(0.03)[:, 0]
    state[:, 6:9] = between(1.0, 1.0, 0.6)
    state[:, 9:] = np.einsum("bij,bj->bi", turn, going + between(0.5, 0.5, 0.2))

    phase = draw.uniform(size=(num, 1, 1)) + (np.arange(steps)[:, None] + 0.5) * step_s / PERIOD_S + [0.0, 0.5]
    contacts = (phase % 1.0 >= SWING) | (draw.uniform(size=(num, 1, 1)) < 0.2)
    # A foot stays where it is until it lands; then it is where the body has gone.
    feet = np.zeros((num, steps, 2, 3))
    feet[..., 1] = [HALF_STANCE_M, -HALF_STANCE_M]
    feet[..., :2] += between(0.15, 0.04, 0.15, 0.04).reshape(num, 1, 2, 2)
    landed = np.cumsum(np.diff(contacts.astype(int), axis=1, prepend=contacts[:, :1]) > 0, axis=1) > 0
    feet += landed[..., None] * going[:, None, None] * PERIOD_S / 2
    feet = np.einsum("bij,bkfj->bkfi", turn, feet) + place[:, None, None]

    times = step_s * np.arange(1, steps + 1)[:, None]
    reference = np.zeros((num, steps, 12))
    reference[..., 2] = (yaw[:, None] + between(0.2)) + command[:, 2:] * times.T
    reference[..., 9:] = np.einsum("bij,bj->bi", turn, going)[:, None]
    reference[..., 3:6] = (place + between(0.05, 0.05, 0.0))[:, None] + reference[..., 9:] * times
    reference[..., 5], reference[..., 8] = settings.com_height, command[:, 2:]
    return _problems(state, feet, contacts, reference, draw.uniform(0.2, 0.6, num))


def recorded_problems(num: int, settings: MpcSettings, path: Path = RECORDED) -> Problems:
    """Return problems that a controller met, one after the other as drawn.

    The file holds the first step of the references alone, whose others follow at their velocities.
    """
    with np.load(path) as file:
        state, feet, contacts, first, friction = (file[name][:num] for name in Problems._fields)
    times = settings.step_s * np.arange(settings.horizon)[:, None]
    reference = np.repeat(first[:, None], settings.horizon, axis=1)
    reference[..., :6] += first[:, None, 6:] * times
    return _problems(state, feet, contacts, reference, friction)


def _problems(*arrays: np.ndarray) -> Problems:
    return Problems(*(torch.as_tensor(array if array.dtype == bool else array.astype(np.float32)) for array in arrays))


class Dense(NamedTuple):
    """Minimise 1/2 u'Pu + q'u + constant, the cost, with G u <= h; u (12 N,) in N and N m, in the yaw frame."""

    hessian: np.ndarray
    gradient: np.ndarray
    constant: float
    rows: np.ndarray
    limits: np.ndarray

    def cost(self, inputs: np.ndarray) -> float:
        """Return the cost of inputs (12 N,)."""
        return float(0.5 * inputs @ self.hessian @ inputs + self.gradient @ inputs + self.constant)

    def violation(self, inputs: np.ndarray) -> float:
        """Return by how much inputs (12 N,) exceed the constraints at most, N or N m."""
        return float((self.rows @ inputs - self.limits).max(initial=0.0))


def dense(problems: Problems, body: Body, settings: MpcSettings) -> Dense:
    """Write the only problem of `problems` densely; its centre of mass is thought to go on at its velocity."""
    state, feet, contacts, reference, friction = (tensor[0].double().numpy() for tensor in problems)
    steps, step_s, weight = settings.horizon, settings.step_s, body.mass * GRAVITY
    turn = _about_z(state[2])
    inertia = turn @ np.asarray(body.inertia) @ turn.T
    transition = np.eye(12)
    transition[:3, 6:9], transition[3:6, 9:] = step_s * turn.T, step_s * np.eye(3)
    falling = np.zeros(12)
    falling[5], falling[11] = -GRAVITY * step_s**2 / 2, -GRAVITY * step_s
    weights = np.array(
        settings.orientation_weights
        + settings.position_weights
        + settings.angular_velocity_weights
        + settings.velocity_weights
    )
    effort = np.tile([settings.force_weight] * 3 + [settings.moment_weight] * 3, 2)
    free, moved = state, np.zeros((12, 12 * steps))
    hessian, gradient, constant = np.zeros((12 * steps, 12 * steps)), np.zeros(12 * steps), 0.0
    for k in range(steps):
        here = slice(12 * k, 12 * k + 12)
        centre = state[3:6] + k * step_s * state[9:]
        free, moved = transition @ free + falling, transition @ moved
        moved[:, here] += _input_map(feet[k] - centre, contacts[k], turn, inertia, body.mass, step_s)
        error = free - reference[k]
        error[2] = math.remainder(error[2], 2 * math.pi)
        nominal = np.zeros(12)
        nominal[[2, 8]] = weight * contacts[k] / max(contacts[k].sum(), 1.0)
        hessian += 2 * (moved.T * weights) @ moved
        hessian[here, here] += 2 * np.diag(effort)
        gradient += 2 * moved.T @ (weights * error)
        gradient[here] -= 2 * effort * nominal
        constant += weights @ error**2 + effort @ nominal**2
    foot, top = _foot_rows(float(friction), body, settings)
    rows = np.kron(np.eye(2 * steps), foot)
    limits = np.concatenate([top * weight * is_down for is_down in contacts.ravel()])
    return Dense(hessian, gradient, constant, rows, limits)


def _input_map(
    levers: np.ndarray, contacts: np.ndarray, turn: np.ndarray, inertia: np.ndarray, mass: float, step_s: float
) -> np.ndarray:
    """Return B of a step (12, 12), of wrenches in the yaw frame."""
    accelerations = np.zeros((6, 12))
    for foot, (x, y, z) in enumerate(levers):
        cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        force = slice(6 * foot, 6 * foot + 3)
        moment = slice(6 * foot + 3, 6 * foot + 6)
        accelerations[:3, force] = contacts[foot] * np.linalg.solve(inertia, cross @ turn)
        accelerations[:3, moment] = contacts[foot] * np.linalg.solve(inertia, turn)
        accelerations[3:, force] = contacts[foot] * turn / mass
    of_angles, of_position = turn.T @ accelerations[:3], accelerations[3:]
    return np.concatenate([np.concatenate([of_angles, of_position]) * step_s**2 / 2, accelerations * step_s])


def _foot_rows(friction: float, body: Body, settings: MpcSettings) -> tuple[np.ndarray, np.ndarray]:
    """Return the constraints of a foot that is down, rows (12, 6) and limits in body weights (12,)."""
    arms = [settings.sole_share * body.sole_half_width, settings.sole_share * body.sole_half_length]
    slopes = [friction, friction, 0.0, *arms, settings.yaw_moment_m]
    rows = np.concatenate([np.eye(6), -np.eye(6)])
    rows[:, 2] -= np.tile(slopes, 2)
    limits = np.zeros(12)
    limits[2] = settings.force_ceiling
    return rows, limits


def _about_z(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle), 0.0], [np.sin(angle), np.cos(angle), 0.0], [0.0, 0.0, 1.0]])
