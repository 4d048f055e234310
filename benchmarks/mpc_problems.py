"""Problems of the predictive controller, and the same written densely for solvers of quadratic programmes.

The dense form is made apart from the controller's own: in float64, from A and B of every step, with eleven rows a foot.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csc_matrix
from torch import Tensor

from rlmpc.mpc.body import Body
from rlmpc.mpc.settings import MpcSettings

G1 = Body(33.34, ((3.523, 0.0, 0.274), (0.0, 3.162, 0.0), (0.274, 0.0, 0.542)), 0.09, 0.03)
"""About the Unitree G1, in its default pose."""
PERIOD_S, SWING = 0.56, 3 / 7
HALF_STANCE_M = 0.1


class Problems(NamedTuple):
    """Arguments of `Predictive.solve`, B of each."""

    state: Tensor
    feet: Tensor
    contacts: Tensor
    reference: Tensor
    friction: Tensor


def random_problems(num: int, seed: int, settings: MpcSettings, dtype: torch.dtype = torch.float32) -> Problems:
    """Draw states of a robot that walks, is pushed and slips, at any phase of the gait, or stands (one in five)."""
    draw = np.random.default_rng(seed)
    steps = settings.horizon
    uniform = lambda *size: draw.uniform(-1.0, 1.0, (num, *size))  # noqa: E731
    command = uniform(3) * [0.8, 0.3, 0.5]
    yaw = uniform() * math.pi
    lean = uniform(2) * 0.15
    velocity = np.concatenate([command[:, :2], np.zeros((num, 1))], 1) + uniform(3) * [0.5, 0.5, 0.2]
    rate = uniform(3) * [1.0, 1.0, 0.6]
    height = settings.com_height + uniform() * 0.03
    # The gait: each foot swings for a part of the period, the right one half a period later.
    phase = draw.uniform(0.0, 1.0, num)
    ahead = (np.arange(steps) + 0.5) * settings.step_s
    when = (phase[:, None, None] + ahead[:, None] / PERIOD_S + np.array([0.0, 0.5])) % 1.0
    contacts = when >= SWING
    contacts[draw.uniform(size=num) < 0.2] = True
    # Feet are where they were put down; after the swing, where the body will be.
    side = np.array([HALF_STANCE_M, -HALF_STANCE_M])
    feet = np.zeros((num, steps, 2, 3))
    feet[..., :2] = (uniform(1, 2, 2) * [0.15, 0.04]).repeat(steps, 1)
    feet[..., 1] += side
    landed = np.cumsum(np.diff(contacts.astype(int), axis=1, prepend=contacts[:, :1]) > 0, axis=1) > 0
    feet[..., 0] += landed * (command[:, None, None, 0] * PERIOD_S / 2)
    feet[..., 1] += landed * (command[:, None, None, 1] * PERIOD_S / 2)
    turn = np.stack([np.cos(yaw), -np.sin(yaw), np.sin(yaw), np.cos(yaw)], -1).reshape(num, 2, 2)
    place = uniform(2) * 50.0
    times = settings.step_s * np.arange(1, steps + 1)
    state, reference = np.zeros((num, 12)), np.zeros((num, steps, 12))
    state[:, :2], state[:, 2], state[:, 5], state[:, 6:9] = lean, yaw, height, rate
    state[:, 3:5], state[:, 9:] = place, velocity
    state[:, 9:11] = np.einsum("bij,bj->bi", turn, velocity[:, :2])
    reference[..., 2] = (yaw + uniform() * 0.2)[:, None] + command[:, None, 2] * times
    going = np.einsum("bij,bj->bi", turn, command[:, :2])
    reference[..., 3:5] = (place + uniform(2) * 0.05)[:, None] + going[:, None] * times[:, None]
    reference[..., 5], reference[..., 8], reference[..., 9:11] = settings.com_height, command[:, None, 2], going[:, None]
    feet[..., :2] = np.einsum("bij,bkfj->bkfi", turn, feet[..., :2]) + place[:, None, None]
    friction = draw.uniform(0.2, 0.6, num)
    return Problems(*(torch.as_tensor(a).to(torch.bool if a.dtype == bool else dtype) for a in
                      (state, feet, contacts, reference, friction)))


class Dense(NamedTuple):
    """Minimise 1/2 u'Hu + g'u + constant with C u <= limit, over forces and moments in N and N m, in the yaw frame."""

    hessian: np.ndarray
    gradient: np.ndarray
    constant: float
    rows: np.ndarray
    limit: np.ndarray


def dense(problems: Problems, row: int, body: Body, settings: MpcSettings) -> Dense:
    """Return one of the problems, its levers about a centre of mass that goes on at its velocity."""
    state, feet, contacts, reference, friction = (a[row].double().numpy() if a.dtype != torch.bool else a[row].numpy() for a in problems)
    steps, T = settings.horizon, settings.step_s
    yaw = state[2]
    Rz = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1.0]])
    Iw = np.linalg.inv(Rz @ np.asarray(body.inertia) @ Rz.T)
    Ac = np.zeros((12, 12)); Ac[:3, 6:9] = Rz.T; Ac[3:6, 9:] = np.eye(3)
    A = np.eye(12) + T * Ac
    Q = np.diag([*settings.orientation_weights, *settings.position_weights, *settings.angular_velocity_weights, *settings.velocity_weights])
    R = np.diag(([settings.force_weight] * 3 + [settings.moment_weight] * 3) * 2)
    # World-frame dynamics, wrenches in the yaw frame.
    n = 12 * steps
    X0, XU = state.copy(), np.zeros((12, n))
    H, g, c = np.zeros((n, n)), np.zeros(n), 0.0
    rows, limit = [], []
    grav = np.zeros(12); grav[5] = -T * T / 2 * 9.81; grav[11] = -T * 9.81
    for k in range(steps):
        com = state[3:6] + k * T * state[9:]
        B = np.zeros((12, 12))
        for f in range(2):
            if not contacts[k, f]:
                continue
            r = feet[k, f] - com
            cross = np.array([[0, -r[2], r[1]], [r[2], 0, -r[0]], [-r[1], r[0], 0]])
            acc = np.zeros((6, 6))
            acc[:3, :3], acc[:3, 3:], acc[3:, :3] = Iw @ cross @ Rz, Iw @ Rz, Rz / body.mass
            B[6:, 6 * f:6 * f + 6] = T * acc
            B[:3, 6 * f:6 * f + 6] = T * T / 2 * Rz.T @ acc[:3]
            B[3:6, 6 * f:6 * f + 6] = T * T / 2 * acc[3:]
        X0 = A @ X0 + grav
        XU = A @ XU
        XU[:, 12 * k:12 * k + 12] += B
        e = X0 - reference[k]
        e[2] = (e[2] + np.pi) % (2 * np.pi) - np.pi
        H += XU.T @ Q @ XU
        g += XU.T @ Q @ e
        c += e @ Q @ e
        nom = np.zeros(12)
        nom[[2, 8]] = contacts[k] * body.mass * 9.81 / max(1, contacts[k].sum())
        H[12 * k:12 * k + 12, 12 * k:12 * k + 12] += R
        g[12 * k:12 * k + 12] -= R @ nom
        c += nom @ R @ nom
        slopes = [friction, friction, None, settings.sole_share * body.sole_half_width, settings.sole_share * body.sole_half_length, settings.yaw_moment_m]
        for f in range(2):
            at = 12 * k + 6 * f
            hi = settings.force_ceiling * body.mass * 9.81 * contacts[k, f]
            for i, s in enumerate(slopes):
                for sign in (1, -1):
                    row_ = np.zeros(n)
                    row_[at + i] = sign
                    if s is not None:
                        row_[at + 2] = -s
                    rows.append(row_)
                    limit.append((hi if sign == 1 else 0.0) if s is None else 0.0)
    return Dense(2 * H, 2 * g, c, np.array(rows), np.array(limit))
