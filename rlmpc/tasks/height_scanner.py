"""Height scanner: Isaac Lab's ray caster on one fixed mesh, with two of its faults on Newton fixed."""

import warp as wp
from isaaclab.sensors.ray_caster.base_ray_caster import BaseRayCaster
from isaaclab_newton.physics import NewtonManager
from isaaclab_newton.sensors.ray_caster.legacy_ray_caster import LegacyRayCaster


class HeightScanner(LegacyRayCaster):
    """A ray caster against the mesh of the ground alone.

    Newton's own ray caster searches the whole scene and is slower. Both overridden methods are private to a pinned
    Isaac Lab.
    """

    def _initialize_warp_meshes(self) -> None:
        """Read the ground of this simulation: the class caches meshes by path, even of closed simulations."""
        for path in self.cfg.mesh_prim_paths:
            BaseRayCaster.meshes.pop((path, self._device), None)
        super()._initialize_warp_meshes()

    def _update_ray_infos(self, env_mask: wp.array) -> None:
        """Place the rays. After a reset within a step, bodies are moved only when their poses are read."""
        NewtonManager.forward()
        super()._update_ray_infos(env_mask)
