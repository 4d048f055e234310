"""Builds a policy's observations from the contract and the simulation's state alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from rlmpc.contract.contract import Contract
from rlmpc.contract.observations import ObsTerm
from rlmpc.errors import UserError, nearest
from rlmpc.sim2sim.scanner import check_scanner, scan_heights
from rlmpc.sim2sim.simulation import Simulation


def _gait_phase(simulation: Simulation) -> np.ndarray:
    assert simulation.actions.clock is not None
    angle = 2.0 * np.pi * simulation.actions.clock.leg_phase
    return np.concatenate([np.sin(angle), np.cos(angle)])


SENSORS: dict[str, Callable[[Simulation], np.ndarray]] = {
    "joint_pos": lambda simulation: simulation.joint_pos - simulation.default_pos,
    "joint_vel": lambda simulation: simulation.joint_vel,
    "base_ang_vel": lambda simulation: simulation.root_ang_vel_b,
    "projected_gravity": lambda simulation: simulation.gravity_b,
    "velocity_command": lambda simulation: simulation.command,
    "last_action": lambda simulation: simulation.actions.raw,
    "gait_phase": _gait_phase,
    "height_scan": scan_heights,
}
"""Sensors by the name of the observation term; each gives one frame (D,) before clip and scale.

The terms mean what `rlmpc/contract/terms.py` says.
"""


class Observer:
    """Observation groups of a contract, with their histories.

    Args:
        contract: the terms of each group, with their histories, clips and scales.
        groups: the groups to build.
        simulation: the simulation to observe.

    Raises:
        UserError: for a term that cannot be sensed here or has another width here.
    """

    def __init__(self, contract: Contract, groups: Iterable[str], simulation: Simulation) -> None:
        check_scanner(simulation)
        self._simulation = simulation
        self._terms = {group: contract.observations.groups[group] for group in groups}
        for group, terms in self._terms.items():
            for term in terms:
                _check_term(term, group, simulation)
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
        frame = SENSORS[term.name](self._simulation)
        if term.clip is not None:
            low, high = term.clip
            frame = np.clip(frame, low, high)
        frame = frame * np.array(term.scale)
        earlier = self._frames.get((group, term.name), np.tile(frame, (term.history, 1)))
        frames = np.vstack([earlier[1:], frame])
        self._frames[group, term.name] = frames
        return frames.ravel()


def _check_term(term: ObsTerm, group: str, simulation: Simulation) -> None:
    has_not = {"gait_phase": simulation.actions.clock is None, "height_scan": simulation.world.height_scanner is None}
    served = [name for name in SENSORS if not has_not.get(name, False)]
    if term.name not in served:
        raise UserError(
            f"observation '{term.name}' of group '{group}' cannot be sensed in MuJoCo; it serves "
            f"{', '.join(served)}{nearest(term.name, served)}"
        )
    width = len(SENSORS[term.name](simulation))
    if width != term.dim:
        raise UserError(f"observation '{term.name}' of group '{group}' has {term.dim} features, but {width} in MuJoCo")
