"""The predictive controller of a robot in MuJoCo: what it is told, and its torques in every physics step."""

# MuJoCo fills its module from compiled ones, which pyright cannot read.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np

from rlmpc.errors import UserError
from rlmpc.sim2sim.links import links_of, sole_forces

if TYPE_CHECKING:
    from rlmpc.sim2sim.simulation import Simulation


class Controlled:
    """A predictive controller that moves a simulated robot, beside its drives.

    Args:
        term: the controller's action term in the contract.
        simulation: of the robot.

    Raises:
        UserError: if no controller can be made of these.
    """

    def __init__(self, term: Mapping[str, Any], simulation: Simulation) -> None:
        # Needs torch, which no other policy does here.
        from rlmpc.mpc.single import SingleController

        if (cone := simulation.world.cone) != "pyramidal":
            raise UserError(f"the controller needs the forces of pyramidal contacts, and the policy's are {cone}")
        self._controller = SingleController(simulation.robot, term)
        self._simulation, self._model, self._data = simulation, simulation.model, simulation.data
        description = simulation.robot.description
        joints = [self._model.joint(name) for name in description.joint_names]
        self._qpos_ids, self._dof_ids = [j.qposadr[0] for j in joints], [j.dofadr[0] for j in joints]
        self._links = [self._model.body(name).id for name in description.body_names]
        self._soles = [self._model.body(name).geomadr[0] for name in simulation.robot.feet]
        self.reset()

    @property
    def leg_phase(self) -> np.ndarray:
        """Phase of each leg in [0, 1), left then right, (2,)."""
        return self._controller.leg_phase

    @property
    def planned_contacts(self) -> np.ndarray:
        """See `SingleController`."""
        return self._controller.planned_contacts

    @property
    def deviations(self) -> np.ndarray:
        """See `SingleController`."""
        return self._controller.deviations

    @property
    def planned_wrench(self) -> np.ndarray:
        """The planned wrenches in the frame of the heading of now; see `rlmpc.mpc.controller`."""
        return self._controller.planned_wrench(self._simulation.root_yaw)

    def reset(self) -> None:
        """Begin anew, standing; the state is read when the first step is planned."""
        self._controller.reset()
        self._forces = np.zeros(len(self._soles))
        self._data.qfrc_applied[:] = 0.0

    def plan(self, action: np.ndarray) -> None:
        """Plan the next control step, with parameters from raw actions."""
        self._controller.plan(self._state(), self._simulation.command, action)

    def advance(self) -> None:
        """Run one physics step with the torques for the state of now."""
        self._data.qfrc_applied[self._dof_ids] = self._controller.torques(self._state())
        mujoco.mj_step(self._model, self._data)
        self._forces = sole_forces(self._data, self._soles)

    def _state(self) -> tuple[np.ndarray, ...]:
        """Return the fields of `rlmpc.mpc.state.RobotState`."""
        # After a step, what follows from positions and velocities is still that of before.
        mujoco.mj_step1(self._model, self._data)
        data, links = self._data, links_of(self._data, self._links)
        joints = data.qpos[self._qpos_ids], data.qvel[self._dof_ids]
        return (links.pos, links.rot, links.com_vel, links.ang_vel, *joints, self._forces)
