"""Makes the simulator start with less: fewer kernels, several modules of them at a time, no memory set aside."""

from __future__ import annotations

import importlib
import os

import torch
import warp as wp

_THREADS_PER_BLOCK = 256
"""Of nearly all launches on a GPU; Warp compiles a module for a size."""

_LARGE_MODULES = (
    "isaaclab.actuators.actuator_kernels",
    "isaaclab.sensors.kernels",
    "isaaclab_newton.assets.articulation.kernels",
    "isaaclab_newton.assets.kernels",
    "isaaclab_newton.physics.newton_manager",
    "isaaclab_newton.sensors.contact_sensor.contact_sensor_kernels",
    "mujoco_warp._src.constraint",
    "mujoco_warp._src.derivative",
    "mujoco_warp._src.forward",
    "mujoco_warp._src.io",
    "mujoco_warp._src.passive",
    "mujoco_warp._src.smooth",
    "mujoco_warp._src.solver",
    "mujoco_warp._src.support",
    "newton._src.geometry.broad_phase_nxn",
    "newton._src.geometry.bvh",
    "newton._src.geometry.inertia",
    "newton._src.sensors.sensor_contact",
    "newton._src.sim.articulation",
    "newton._src.sim.collide",
    "newton._src.utils.selection",
)
"""Modules of the pinned libraries that every task needs, and that do not change after they have been imported."""


def compile_without_gradients() -> None:
    """Leave out kernels of derivatives, which nothing here uses: a third of the work.

    Modules take the setting over when they are imported; call it before Isaac Lab is.
    """
    wp.config.enable_backward = False


def reserve_no_graph_memory(device: torch.device) -> None:
    """Tell Isaac Lab that memory for recorded graphs is reserved.

    It needs that on Windows only. Elsewhere it says that it is harmless, but fails here, with an error of Warp that
    looks as if the GPU were broken.
    """
    if device.type == "cuda":
        # Imported late: see `compile_without_gradients`.
        from isaaclab.utils.device import _GRAPH_MEMORY_RESERVED_DEVICES

        _GRAPH_MEMORY_RESERVED_DEVICES.add(wp.get_device(str(device)).alias)


def compile_large_modules(device: torch.device) -> None:
    """Compile on all cores what every task needs; otherwise each module would be compiled when it is first used."""
    for name in _LARGE_MODULES:
        importlib.import_module(name)
    wp.force_load(
        device=str(device),
        modules=[wp.get_module(name) for name in _LARGE_MODULES],
        block_dim=_THREADS_PER_BLOCK if device.type == "cuda" else 1,
        max_workers=len(os.sched_getaffinity(0)),
    )
