"""Counts what the solver's buffers would have had to hold in every physics step, instead of printing each overflow.

The class name starts with "Newton" because Isaac Lab derives the physics backend from it.
"""

# Warp compiles its kernels from the source; as Python, their types do not fit.
# pyright: reportArgumentType=false, reportIndexIssue=false, reportOperatorIssue=false

from typing import Any, ClassVar, cast

import warp as wp
from isaaclab.physics import PhysicsManager
from isaaclab_newton.physics import MJWarpSolverCfg, NewtonManager, NewtonMJWarpManager
from newton import Contacts, Control, Model, State
from newton.geometry import BroadPhaseExplicit

from rlmpc.tasks.ground_clearance import BroadPhaseAboveGround

DEMAND = tuple(f"{what}_{n}" for what in ("contacts", "constraints", "triangles") for n in ("peak", "overflows"))
"""Rows of `NewtonDemandManager.demand`: the largest number, and the physics steps in which it exceeded its limit."""


THREADS_PER_SEARCH = 32
"""GPU threads that search the ground's mesh for the triangles near one shape; Newton takes 256, most of which idle."""


@wp.kernel
def _note(limit: int, first_row: int, count: wp.array[int], demand: wp.array2d[int]):
    i = wp.tid()
    if count[i] > demand[first_row, i]:
        demand[first_row, i] = count[i]
    if count[i] > limit:
        demand[first_row + 1, i] = demand[first_row + 1, i] + 1


@wp.kernel
def _clip(limit: int, count: wp.array[int]):
    if count[0] > limit:
        count[0] = limit


class NewtonDemandManager(NewtonMJWarpManager):
    """MuJoCo-Warp physics that notes the demand for contacts and constraint rows, beyond their limits too.

    It overrides private methods of a pinned Isaac Lab.
    """

    demand: ClassVar[wp.array]
    """`DEMAND` since the last time that its reader set it to zero, (6, N) int on the device.

    Constraint rows are those of each environment, contacts, and triangles of the ground near shapes, those of all
    together, in the first column. Where triangles are dropped, contacts are missing that nobody counts.
    """

    @classmethod
    def _build_solver(cls, model: Model, solver_cfg: MJWarpSolverCfg) -> None:
        """Build the solver without its prints, and an array for what they would say."""
        super()._build_solver(model, solver_cfg)
        solver: Any = NewtonManager._solver
        solver.mjw_model.opt.warn_overflow = False
        shape = (len(DEMAND), solver.mjw_data.nworld)
        NewtonDemandManager.demand = wp.zeros(shape, dtype=int, device=PhysicsManager._device)

    @classmethod
    def _initialize_contacts(cls) -> None:
        """Build the collision pipeline with a broad phase that knows how high the ground is."""
        super()._initialize_contacts()
        pipeline, cell = cls._collision_pipeline, getattr(cls._collision_cfg, "ground_cell", None)
        if pipeline is not None and cell is not None and type(pipeline.broad_phase) is BroadPhaseExplicit:
            pipeline.broad_phase = BroadPhaseAboveGround(pipeline.model, pipeline.shape_pairs_filtered, cell)
        if pipeline is not None and wp.get_device(PhysicsManager._device).is_cuda:
            pipeline.narrow_phase.tile_size_mesh_convex = THREADS_PER_SEARCH

    @classmethod
    def _step_solver(
        cls, state_0: State, state_1: State, control: Control, contacts: Contacts | None, substep_dt: float
    ) -> None:
        """Step the solver and note what it was to hold."""
        solver: Any = cls._solver
        data, device = solver.mjw_data, PhysicsManager._device
        if contacts is not None:
            count = contacts.rigid_contact_count
            wp.launch(_note, dim=1, inputs=[data.naconmax, 0, count], outputs=[cls.demand], device=device)
            narrow: Any = cast(Any, cls._collision_pipeline).narrow_phase
            if narrow.triangle_pairs_count is not None:
                inputs = [narrow.triangle_pairs.shape[0], 4, narrow.triangle_pairs_count]
                wp.launch(_note, dim=1, inputs=inputs, outputs=[cls.demand], device=device)
            # Newton drops the same contacts, but prints a line about it.
            wp.launch(_clip, dim=1, inputs=[data.naconmax], outputs=[count], device=device)
        super()._step_solver(state_0, state_1, control, contacts, substep_dt)
        if contacts is None:
            wp.launch(_note, dim=1, inputs=[data.naconmax, 0, data.nacon], outputs=[cls.demand], device=device)
        wp.launch(_note, dim=data.nworld, inputs=[data.njmax, 2, data.nefc], outputs=[cls.demand], device=device)
