"""Builds a policy's observations from the contract and a robot's state alone, in MuJoCo as on a robot."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np

from rlmpc.contract.contract import Contract
from rlmpc.contract.observations import ObsTerm
from rlmpc.errors import UserError, nearest
from rlmpc.sim2sim.actions import Actions


class Plans(Protocol):
    """What a predictive controller plans, in the robot's state of now; `rlmpc/contract/terms.py` says what it means."""

    @property
    def leg_phase(self) -> np.ndarray:
        """Phase of each leg in [0, 1), (2,)."""
        ...

    @property
    def planned_contacts(self) -> np.ndarray:
        """(2 H,)."""
        ...

    @property
    def deviations(self) -> np.ndarray:
        """The term `mpc_parameters` (A,)."""
        ...

    @property
    def planned_wrench(self) -> np.ndarray:
        """(12,)."""
        ...


class Sensed(Protocol):
    """What is known of a robot at one moment; joints are in the contract's order (J)."""

    where: str
    """Where the robot is, for messages: `in MuJoCo`."""
    actions: Actions
    default_pos: np.ndarray
    """[rad] (J,)"""
    command: np.ndarray
    """Commanded vx, vy [m/s] and yaw rate [rad/s], (3,)."""

    @property
    def controller(self) -> Plans | None:
        """The predictive controller that moves it; None without one."""
        ...

    @property
    def joint_pos(self) -> np.ndarray:
        """[rad] (J,)."""
        ...

    @property
    def joint_vel(self) -> np.ndarray:
        """[rad/s] (J,)."""
        ...

    @property
    def root_ang_vel_b(self) -> np.ndarray:
        """[rad/s] (3,), root frame."""
        ...

    @property
    def gravity_b(self) -> np.ndarray:
        """Direction of gravity (3,), root frame."""
        ...

    def scan(self) -> np.ndarray:
        """Scan the ground; see `rlmpc.sim2sim.scanner.scan_heights`."""
        ...

    def lacks(self) -> set[str]:
        """Return the terms that cannot be sensed with this contract.

        Raises:
            UserError: if the contract describes a sensor that does not fit the robot.
        """
        ...


def _gait_phase(sensed: Sensed) -> np.ndarray:
    clock = sensed.controller or sensed.actions.clock
    assert clock is not None
    angle = 2.0 * np.pi * clock.leg_phase
    return np.concatenate([np.sin(angle), np.cos(angle)])


def _plans(sensed: Sensed) -> Plans:
    assert sensed.controller is not None
    return sensed.controller


PLANNED: dict[str, Callable[[Sensed], np.ndarray]] = {
    "planned_contacts": lambda sensed: _plans(sensed).planned_contacts,
    "mpc_parameters": lambda sensed: _plans(sensed).deviations,
    "planned_wrench": lambda sensed: _plans(sensed).planned_wrench,
}
"""Sensors, as below, of what only a predictive controller tells."""

SENSORS: dict[str, Callable[[Sensed], np.ndarray]] = {
    "joint_pos": lambda sensed: sensed.joint_pos - sensed.default_pos,
    "joint_vel": lambda sensed: sensed.joint_vel,
    "base_ang_vel": lambda sensed: sensed.root_ang_vel_b,
    "projected_gravity": lambda sensed: sensed.gravity_b,
    "velocity_command": lambda sensed: sensed.command,
    "last_action": lambda sensed: sensed.actions.raw,
    "gait_phase": _gait_phase,
    "height_scan": lambda sensed: sensed.scan(),
    **PLANNED,
}
"""Sensors by the name of the observation term; each gives one frame (D,) before clip and scale.

The terms mean what `rlmpc/contract/terms.py` says.
"""


class Observer:
    """Observation groups of a contract, with their histories.

    Args:
        contract: the terms of each group, with their histories, clips and scales.
        groups: the groups to build.
        sensed: the robot to observe; what it holds is read anew in every step.

    Raises:
        UserError: for a term that cannot be sensed here or has another width here.
    """

    def __init__(self, contract: Contract, groups: Iterable[str], sensed: Sensed) -> None:
        lacking = sensed.lacks()
        self._sensed = sensed
        self._terms = {group: contract.observations.groups[group] for group in groups}
        for group, terms in self._terms.items():
            for term in terms:
                _check_term(term, group, sensed, lacking)
        self._frames: dict[tuple[str, str], np.ndarray] = {}

    def reset(self) -> None:
        """Forget all histories; the next frame fills them, as in Isaac Lab."""
        self._frames.clear()

    def observe(self) -> dict[str, np.ndarray]:
        """Sense once per control step; return groups (D_g,) with terms in order, frames from oldest to newest."""
        return {
            group: np.concatenate([self._history(group, term) for term in terms]).astype(np.float32)
            for group, terms in self._terms.items()
        }

    def _history(self, group: str, term: ObsTerm) -> np.ndarray:
        frame = SENSORS[term.name](self._sensed)
        if term.clip is not None:
            low, high = term.clip
            frame = np.clip(frame, low, high)
        frame = frame * np.array(term.scale)
        earlier = self._frames.get((group, term.name), np.tile(frame, (term.history, 1)))
        frames = np.vstack([earlier[1:], frame])
        self._frames[group, term.name] = frames
        return frames.ravel()


def _check_term(term: ObsTerm, group: str, sensed: Sensed, lacking: set[str]) -> None:
    served = [name for name in SENSORS if name not in lacking]
    if term.name not in served:
        raise UserError(
            f"observation '{term.name}' of group '{group}' cannot be sensed {sensed.where}; it serves "
            f"{', '.join(served)}{nearest(term.name, served)}"
        )
    width = len(SENSORS[term.name](sensed))
    if width != term.dim:
        raise UserError(
            f"observation '{term.name}' of group '{group}' has {term.dim} features, but {width} {sensed.where}"
        )
