"""Counts what the solver's buffers would have had to hold in every physics step, instead of printing each overflow.

The class name starts with "Newton" because Isaac Lab derives the physics backend from it.
"""

# Warp compiles its kernels from the source; as Python, their types do not fit.
# pyright: reportArgumentType=false, reportIndexIssue=false, reportOperatorIssue=false

from typing import Any, ClassVar

import warp as wp
from isaaclab.physics import PhysicsManager
from isaaclab_newton.physics import MJWarpSolverCfg, NewtonManager, NewtonMJWarpManager
from newton import Contacts, Control, Model, State


@wp.kernel
def _note_contacts(limit: int, count: wp.array[int], peak: wp.array[int], overflows: wp.array[int]):
    if count[0] > peak[0]:
        peak[0] = count[0]
    if count[0] > limit:
        overflows[0] = overflows[0] + 1
        # Newton drops the same contacts, but prints a line about it.
        count[0] = limit


@wp.kernel
def _note_constraints(limit: int, count: wp.array[int], peak: wp.array[int], overflows: wp.array[int]):
    i = wp.tid()
    if count[i] > peak[i]:
        peak[i] = count[i]
    if count[i] > limit:
        overflows[i] = overflows[i] + 1


class NewtonDemandManager(NewtonMJWarpManager):
    """MuJoCo-Warp physics that notes the demand for contacts and constraint rows, beyond their limits too.

    It overrides private methods of a pinned Isaac Lab. The arrays are on the device, written in every physics step and
    set to zero by whoever reads them.
    """

    contacts_peak: ClassVar[wp.array]
    """Largest number of contacts of all environments together, (1,) int."""
    contacts_overflows: ClassVar[wp.array]
    """Number of physics steps with more contacts than fit, (1,) int."""
    constraints_peak: ClassVar[wp.array]
    """Largest number of constraint rows of each environment, (N,) int."""
    constraints_overflows: ClassVar[wp.array]
    """Number of physics steps in which an environment had more constraint rows than fit, (N,) int."""

    @classmethod
    def _build_solver(cls, model: Model, solver_cfg: MJWarpSolverCfg) -> None:
        """Build the solver without its prints, and arrays for what they would say."""
        super()._build_solver(model, solver_cfg)
        solver: Any = NewtonManager._solver
        solver.mjw_model.opt.warn_overflow = False
        for name, length in (("contacts", 1), ("constraints", solver.mjw_data.nworld)):
            for kind in ("peak", "overflows"):
                zeros = wp.zeros(length, dtype=int, device=PhysicsManager._device)
                setattr(NewtonDemandManager, f"{name}_{kind}", zeros)

    @classmethod
    def _step_solver(
        cls, state_0: State, state_1: State, control: Control, contacts: Contacts | None, substep_dt: float
    ) -> None:
        """Step the solver and note what it was to hold."""
        solver: Any = cls._solver
        data = solver.mjw_data
        if contacts is not None:
            cls._note_contacts(data.naconmax, contacts.rigid_contact_count)
        super()._step_solver(state_0, state_1, control, contacts, substep_dt)
        if contacts is None:
            cls._note_contacts(data.naconmax, data.nacon)
        wp.launch(
            _note_constraints,
            dim=data.nworld,
            inputs=[data.njmax, data.nefc],
            outputs=[cls.constraints_peak, cls.constraints_overflows],
            device=PhysicsManager._device,
        )

    @classmethod
    def _note_contacts(cls, limit: int, count: wp.array) -> None:
        wp.launch(
            _note_contacts,
            dim=1,
            inputs=[limit],
            outputs=[count, cls.contacts_peak, cls.contacts_overflows],
            device=PhysicsManager._device,
        )
