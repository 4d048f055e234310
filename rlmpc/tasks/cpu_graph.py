"""Replays a physics step on the CPU as a recorded Warp graph.

Isaac Lab captures graphs on CUDA only. On a CPU core, Python spends most of an eager step launching several hundred
small kernels; Warp can record and replay those launches on the CPU as well, with bit-identical results in about half
the time. The class name starts with "Newton" because Isaac Lab derives the physics backend from it.
"""

from typing import ClassVar

import warp as wp
from isaaclab.physics import PhysicsManager

from rlmpc.tasks.solver_demand import NewtonDemandManager


class NewtonCpuGraphManager(NewtonDemandManager):
    """MuJoCo-Warp physics that is recorded once on the CPU and replayed from then on.

    It overrides private methods of a pinned Isaac Lab; `cpu_graph=False` in the environment configuration returns to
    the stock manager. With implicit actuators only, Isaac Lab calls `_simulate_physics_only` once per physics step;
    this is recorded. On CUDA everything is left to Isaac Lab.
    """

    _EAGER_STEPS: ClassVar[int] = 2
    """Eager steps before recording, so that kernels are loaded and lazy buffers allocated."""

    _recording: ClassVar[wp.Graph | None] = None
    _num_eager_steps: ClassVar[int] = 0

    @classmethod
    def _simulate_physics_only(cls) -> None:
        """Advance physics by one step: eagerly at first, then by replaying the recording."""
        if "cuda" in PhysicsManager._device:
            super()._simulate_physics_only()
        elif cls._num_eager_steps < cls._EAGER_STEPS:
            cls._num_eager_steps += 1
            super()._simulate_physics_only()
        else:
            if cls._recording is None:
                with wp.ScopedCapture(device=PhysicsManager._device) as capture:
                    super()._simulate_physics_only()
                cls._recording = capture.graph
            assert cls._recording is not None
            wp.capture_launch(cls._recording)

    @classmethod
    def _invalidate_graph(cls) -> None:
        """Drop the recording when the solver is rebuilt: it refers to the old arrays."""
        super()._invalidate_graph()
        cls._drop_recording()

    @classmethod
    def clear(cls) -> None:
        """Drop the recording with the rest of the simulation's state."""
        super().clear()
        cls._drop_recording()

    @classmethod
    def _drop_recording(cls) -> None:
        cls._recording = None
        cls._num_eager_steps = 0
