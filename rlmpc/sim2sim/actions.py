"""Turns raw actions into joint targets and a gait clock, as the policy's contract says.

Those of a predictive controller are passed on by `rlmpc.sim2sim.controlled`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from rlmpc.contract.actuation import CONTROLLER, SERVED
from rlmpc.contract.contract import Contract
from rlmpc.errors import UserError, nearest


class GaitClock:
    """A phase that runs through [0, 1) once per gait period; each leg, left then right, has an offset to it.

    Args:
        term: action term `gait_cycle` of a contract: `offset_s`, `scale_s`, `period_range_s`, `leg_offsets`.
        control_dt: seconds between two actions.
    """

    def __init__(self, term: Mapping[str, Any], control_dt: float) -> None:
        self._offset_s, self._scale_s = float(term["offset_s"]), float(term["scale_s"])
        self._shortest_s, self._longest_s = term["period_range_s"]
        self._leg_offsets = np.array(term["leg_offsets"])
        self._control_dt = control_dt
        self.phase = 0.0

    @property
    def leg_phase(self) -> np.ndarray:
        """Phase of each leg in [0, 1), (2,)."""
        return (self.phase + self._leg_offsets) % 1.0

    def advance(self, action: float) -> None:
        """Set the period from the action and advance by one control step."""
        period_s = min(max(self._offset_s + self._scale_s * action, self._shortest_s), self._longest_s)
        self.phase = (self.phase + self._control_dt / period_s) % 1.0


class Actions:
    """The action terms of a contract in their order.

    Args:
        contract: its action terms, joints and limit of raw actions.

    Raises:
        UserError: for a term that this simulation does not carry out.
    """

    def __init__(self, contract: Contract) -> None:
        joints = contract.joints
        self._limit = math.inf if contract.action_limit is None else contract.action_limit
        self._default_pos = np.array(joints["default_pos"])
        self._joint_terms: list[tuple[slice, list[int], np.ndarray, np.ndarray]] = []
        self.clock: GaitClock | None = None
        self._clock_column = 0
        self._controller_columns = slice(0)
        start = 0
        for term in contract.actions:
            columns = slice(start, start + term["dim"])
            start = columns.stop
            if term["name"] == "joint_pos":
                joint_ids = [joints["names"].index(name) for name in term["joints"]]
                self._joint_terms.append((columns, joint_ids, np.array(term["scale"]), np.array(term["offset"])))
            elif term["name"] == "gait_cycle":
                self.clock, self._clock_column = GaitClock(term, contract.control_dt), columns.start
            elif term["name"] == CONTROLLER:
                self._controller_columns = columns
            else:
                raise UserError(
                    f"action '{term['name']}' of the policy is not carried out in MuJoCo; it serves "
                    f"{', '.join(SERVED)}{nearest(term['name'], SERVED)}"
                )
        self.raw = np.zeros(start)
        """Raw actions (A,) of the last step, clipped."""
        self.are_finite = True
        """Whether the last raw actions were finite before they were clipped."""

    @property
    def of_controller(self) -> np.ndarray:
        """Raw actions of the last step, clipped, that set parameters of a predictive controller; none without one."""
        return self.raw[self._controller_columns]

    def reset(self, rng: np.random.Generator) -> None:
        """Forget the last actions and draw a phase of the gait clock."""
        self.raw = np.zeros_like(self.raw)
        self.are_finite = True
        if self.clock is not None:
            self.clock.phase = rng.uniform()

    def process(self, raw: np.ndarray) -> np.ndarray:
        """Turn raw actions (A,) into targets (J,) [rad], in the contract's joint order, and advance the gait clock.

        Entries that are not finite count as 0.
        """
        self.are_finite = bool(np.isfinite(raw).all())
        self.raw = np.clip(np.where(np.isfinite(raw), raw, 0.0), -self._limit, self._limit)
        targets = self._default_pos.copy()
        for columns, joint_ids, scale, offset in self._joint_terms:
            targets[joint_ids] = offset + scale * self.raw[columns]
        if self.clock is not None:
            self.clock.advance(self.raw[self._clock_column])
        return targets
