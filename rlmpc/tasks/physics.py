"""Physics settings shared by the tasks: Newton with the MuJoCo-Warp solver."""

from typing import Any

from isaaclab.utils import ResolvableString, configclass
from isaaclab_newton.physics import MJWarpSolverCfg, NewtonCfg, NewtonCollisionPipelineCfg, NewtonShapeCfg


@configclass
class CollisionCfg(NewtonCollisionPipelineCfg):
    """Newton's collision pipeline, with a broad phase that leaves out shapes above the ground."""

    ground_cell: float | None = 0.1
    """Width of the cells [m] in which the height of the ground is noted (`ground_clearance.py`); contacts do not depend
    on it. None is the stock broad phase."""

    triangle_pairs_per_env: int = 96
    """Pairs of a shape and a triangle of the ground for which there is room, times the number of environments; at least
    Newton's own number. Too few lose contacts from about 20 000 environments on: robots that lie need most."""

    def make_room(self, num_envs: int) -> None:
        """Set the number of pairs for so many environments."""
        least = NewtonCollisionPipelineCfg().max_triangle_pairs
        self.max_triangle_pairs = max(least, self.triangle_pairs_per_env * num_envs)

    def to_pipeline_args(self) -> dict[str, Any]:
        """Return the arguments of Newton's pipeline, which does not know what is ours."""
        arguments = super().to_pipeline_args()
        return {
            name: value for name, value in arguments.items() if name not in ("ground_cell", "triangle_pairs_per_env")
        }


PHYSICS_CFG = NewtonCfg(
    solver_cfg=MJWarpSolverCfg(
        # Constraint rows of one environment; the excess is dropped and counted (`solver_demand.py`). Robots dropped at
        # random on all kinds of terrain needed up to 88.
        njmax=120,
        # Contacts per environment, including near ones without a force. All share one pool of this times the number of
        # environments. Robots lying down take 16 each on average, but a single one up to 39, which matters in a
        # simulation of one robot.
        nconmax=50,
        # Steps of the solver; on a GPU all robots wait for the slowest. They take 3.5 on average, 99 % at most 7.
        # A policy on stairs walks alike with 6 and with 100 (docs/performance.md).
        iterations=6,
        cone="pyramidal",
        impratio=1.0,
        integrator="implicitfast",
        # MuJoCo's own collision detection does not handle the generated terrain meshes.
        use_mujoco_contacts=False,
        # MuJoCo-Warp's own sensors, which nothing here reads, take long to compile and cannot be made deterministic.
        disable_sensors=True,
    ),
    collision_cfg=CollisionCfg(),
    num_substeps=1,
    # Contact stiffness [N/m] and damping [N s/m] of Isaac Lab's own rough-terrain preset.
    default_shape_cfg=NewtonShapeCfg(margin=0.0, ke=1.6e5, kd=1100.0),
)
"""One solver step per physics step, contacts from Newton's collision pipeline, stiff ground."""


def select_manager(physics: NewtonCfg, cpu_graph: bool) -> None:
    """Choose the class that steps physics; with `cpu_graph`, the CPU replays steps as a recorded graph."""
    manager = (
        "rlmpc.tasks.cpu_graph:NewtonCpuGraphManager" if cpu_graph else "rlmpc.tasks.solver_demand:NewtonDemandManager"
    )
    assert physics.solver_cfg is not None
    physics.solver_cfg.class_type = ResolvableString(manager)
    physics.class_type = ResolvableString(manager)
