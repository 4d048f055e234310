"""Exact state of a running Isaac Lab environment: with it, and the random generators, steps go on bit by bit as before.

What counts as state is found by a walk over the scene's entities and the managers rather than listed, so that a new
term or sensor is covered as it is. The walk keeps arrays, numbers and flags by path, as in `scene.robot._data...`. It

- enters objects of Isaac Lab and of this project, terms of managers wherever they come from, and containers;
- leaves out configs, which a resumed run may change. A term that changes its own on the way has `state_dict` and
  `load_state_dict`, and they are used;
- leaves out second views of memory that it has already kept, and what other libraries own. Newton's part is what
  `_physics` names and what the articulations bind; contacts and constraints are computed anew in every step.

The ground is no part of it: it has to be generated from the same seed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple, cast
from zlib import crc32

import numpy as np
import torch
import warp as wp
from isaaclab.envs import ManagerBasedRLEnv
from isaaclab.managers import ManagerTermBase, ManagerTermBaseCfg
from isaaclab.physics import PhysicsManager
from isaaclab.utils.buffers import TimestampedBuffer
from isaaclab.utils.warp import ProxyArray
from isaaclab_newton.physics import NewtonManager
from newton import Heightfield, Mesh, Model
from torch import Tensor

MANAGERS = ("command", "action", "observation", "event", "recorder", "termination", "reward", "curriculum")
ENTERED_PACKAGES = {"isaaclab", "isaaclab_newton", "isaaclab_tasks", "rlmpc"}
"""Packages whose objects are entered."""

NUMBERS = {wp.bool, wp.int8, wp.uint8, wp.int16, wp.int32, wp.int64, wp.float16, wp.float32, wp.float64}
"""Array entries that are state; wide unsigned ones are addresses in this process."""

PASSED_OVER = {
    # Computed by every step before it reads them, and large.
    "_obs_buffer",
    "_ray_starts_w",
    "_ray_directions_w",
    # Filled as they are asked for, with what never changes.
    "_selector_cache",
    "_launch_cache",
}
"""Attributes that are not entered, by name; nor is what ends in `_handle`, the numbers of this process's callbacks."""

CACHE = ".cache"
"""Ends the path of a value that is computed when it is asked for, and so may be there in one process only."""

GROUND = "physics.ground"
"""Checksum of the meshes and height fields; not a thing that a state could change."""

MAX_FAULTS = 20
"""How many lines an error has at most; a wrong task differs in hundreds of paths."""


class _Slot(NamedTuple):
    """Where a value lives, and the value: a tensor on the same memory, or something plain."""

    owner: Any
    key: Any
    value: Any


def state_of(env: ManagerBasedRLEnv, adapter: object) -> dict[str, Any]:
    """Everything that decides how the environments go on after a step, the global random generators apart.

    Args:
        env: an environment that has been stepped.
        adapter: what wraps it; its own tensors are state as well.

    Returns:
        Path -> tensor on the environment's device, number, or plain container.
    """
    state = {path: slot.value for path, slot in _slots(env, adapter).items()}
    return state | {path: value.detach().clone() for path, value in state.items() if isinstance(value, Tensor)}


def load_state(env: ManagerBasedRLEnv, adapter: object, state: Mapping[str, Any]) -> None:
    """Go on from `state`. Arrays are written in place, because recorded graphs of the simulation hold them.

    Args:
        env: an environment of the same config, number of environments and terrain seed that has been stepped.
        adapter: as for `state_of`.
        state: what `state_of` gave, in whatever process; its tensors may be on another device.

    Raises:
        ValueError: for a state of another environment; nothing has been written then.
    """
    slots = _slots(env, adapter)
    _check(slots, state)
    for path, (owner, key, value) in slots.items():
        if path == GROUND:
            continue
        if path not in state:
            # Of a value that the saved process never asked for, what is cached here is stale.
            if key == "timestamp":
                owner.timestamp = -1.0
        elif isinstance(value, Tensor):
            value.copy_(state[path])
        elif isinstance(value, dict):
            owner.load_state_dict(state[path])
        elif isinstance(owner, dict | list):
            owner[key] = state[path]
        else:
            setattr(owner, key, type(value)(state[path]))
    # Renderers and whatever else looks at the scene as a whole must not take its poses for those they know.
    NewtonManager._mark_transforms_changed()


def _check(slots: Mapping[str, _Slot], state: Mapping[str, Any]) -> None:
    """Raise what `load_state` says."""
    faults = [f"missing: {path}" for path in slots.keys() - state.keys() if f"{CACHE}." not in path]
    faults += [f"unknown: {path}" for path in state.keys() - slots.keys() if f"{CACHE}." not in path]
    for path in slots.keys() & state.keys():
        here, there = _kind(slots[path].value), _kind(state[path])
        if here != there:
            faults.append(f"of another kind: {path} is {there}, accepted is {here}")
    if faults:
        shown = sorted(faults)[:MAX_FAULTS]
        more = [f"and {len(faults) - MAX_FAULTS} more"] if len(faults) > MAX_FAULTS else []
        raise ValueError("\n  ".join(["the state is not of this environment", *shown, *more]))
    if slots[GROUND].value != state[GROUND]:
        raise ValueError(f"the state is of another ground; generate the terrain from its seed\n  differs: {GROUND}")


def _kind(value: Any) -> str:
    return f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__


def _slots(env: ManagerBasedRLEnv, adapter: object) -> dict[str, _Slot]:
    """Everything that is state, by path."""
    walk = _Walk(passed_over=(env, env.scene, env.sim, env.sim.get_scene_data_provider(), adapter))
    walk.slots[GROUND] = _Slot(None, None, _ground(NewtonManager.get_model()))
    walk.visit("physics", _Slot(None, None, _physics()))
    # As whole numbers, which a checkpoint can hold.
    changes = {int(change) for change in NewtonManager._model_changes}
    walk.slots["physics.model_changes"] = _Slot(NewtonManager, "_model_changes", changes)
    walk.visit("physics.kinematics_dirty", _Slot(NewtonManager, "kinematics_dirty", NewtonManager.kinematics_dirty))
    walk.visit("physics.time_s", _Slot(PhysicsManager, "_sim_time", PhysicsManager._sim_time))
    for name in env.scene.keys():  # noqa: SIM118  a scene is no dict
        walk.visit(f"scene.{name}", _Slot(env.scene, name, env.scene[name]))
    for name in MANAGERS:
        walk.visit(name, _Slot(env, name, getattr(env, f"{name}_manager")))
    # Last: these names often stand for what a manager owns. The adapter's numbers are copies of its config's.
    for name, owner, kinds in (("env", env, Tensor | bool | int | float), ("adapter", adapter, Tensor)):
        for key, value in vars(owner).items():
            if isinstance(value, kinds):
                walk.visit(f"{name}.{key}", _Slot(owner, key, value))
    return walk.slots


def _physics() -> dict[str, Any]:
    """Arrays of Newton and its solver that outlive a step and that no articulation binds as a whole.

    What the solver's model has for every environment apart, which it marks by `*`, may have been randomised. It is kept
    although it follows from Newton's: deriving it again would not give the bits of what was compiled and never changed.
    """
    manager = cast(Any, NewtonManager)
    physics, solver = manager.backend, manager._solver
    state, model = physics.state_0, solver.mjw_model
    randomised = {
        field.name: getattr(part, field.name)
        for part in (model, model.opt, model.stat)
        for field in fields(part)
        if getattr(field.type, "shape", ())[:1] == ("*",)
    }
    return {
        "state": {name: getattr(state, name) for name in ("joint_q", "joint_qd", "body_q", "body_qd")},
        "warm_start": solver.mjw_data.qacc_warmstart,
        "friction": physics.model.shape_material_mu,
        "gravity": physics.model.gravity,
        "world_reset": manager._world_reset_mask,
        "kinematics_reset": manager._fk_reset_mask,
        "solver_model": randomised,
    }


def _ground(model: Model) -> int:
    """What `GROUND` says; robots of meshes are in it too, once."""
    sources = {id(source): source for source in model.shape_source}.values()
    checksum = 0
    for source in sources:
        if isinstance(source, Mesh | Heightfield):
            heights = source.vertices if isinstance(source, Mesh) else source.data
            checksum = crc32(np.ascontiguousarray(heights), checksum)
    return checksum


class _Walk:
    """Collects slots depth first; see the module for what it enters.

    Args:
        passed_over: objects that are not entered, however they are reached.
    """

    def __init__(self, passed_over: Iterable[object]) -> None:
        self.slots: dict[str, _Slot] = {}
        self._seen = {id(value) for value in passed_over}
        self._starts: list[int] = []
        self._ends: list[int] = []

    def visit(self, path: str, slot: _Slot) -> None:
        """Keep the slot's value if it is state by itself, else what there is in it."""
        value = slot.value.warp if isinstance(slot.value, ProxyArray) else slot.value
        tensor = _on_same_memory(value)
        if tensor is not None:
            if self._is_new(tensor):
                self.slots[path] = slot._replace(value=tensor)
        elif type(value) in (bool, int, float):
            if not _is_frozen(slot.owner):
                self.slots[path] = slot
        elif id(value) not in self._seen:
            self._seen.add(id(value))
            if isinstance(value, TimestampedBuffer):
                path += CACHE
            for key, member in _members(value):
                self.visit(f"{path}.{key}", _Slot(value, key, member))
            if _is_entered(value) and hasattr(value, "load_state_dict"):
                self.slots[f"{path}.state_dict"] = _Slot(value, None, cast(Any, value).state_dict())

    def _is_new(self, tensor: Tensor) -> bool:
        """Whether the tensor's memory is not inside that of one before it, which it is remembered to be from now on."""
        start = tensor.data_ptr()
        length = 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
        end = start + length * tensor.element_size()
        at = bisect_right(self._starts, start)
        if at and end <= self._ends[at - 1]:
            return False
        self._starts.insert(at, start)
        self._ends.insert(at, end)
        return True


def _on_same_memory(value: Any) -> Tensor | None:
    """An array of numbers as a tensor that shares its memory; None for anything else, and for empty arrays."""
    if isinstance(value, wp.array):
        is_number = getattr(value.dtype, "_wp_scalar_type_", value.dtype) in NUMBERS
        return wp.to_torch(value) if is_number and value.size else None
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(value) if value.dtype.kind in "bif" else None
    return value if isinstance(value, Tensor) and value.numel() else None


def _members(value: Any) -> Iterable[tuple[Any, Any]]:
    """What to visit in a value: name or index, and member."""
    if isinstance(value, dict):
        return value.items()
    if isinstance(value, list | tuple):
        return enumerate(value)
    if isinstance(value, ManagerTermBaseCfg):
        return [("func", value.func)] if isinstance(value.func, ManagerTermBase) else []
    if not _is_entered(value) or (isinstance(value, TimestampedBuffer) and value.data is None):
        return []
    members = getattr(value, "__dict__", {}).items()
    return [(key, member) for key, member in members if key not in PASSED_OVER and not key.endswith("_handle")]


def _is_entered(value: Any) -> bool:
    """Whether the attributes of an object may be state."""
    is_config = hasattr(value, "to_dict") and hasattr(value, "__dataclass_fields__")
    is_ours = type(value).__module__.partition(".")[0] in ENTERED_PACKAGES or isinstance(value, ManagerTermBase)
    return is_ours and not is_config


def _is_frozen(owner: Any) -> bool:
    """Whether numbers in it cannot change."""
    return isinstance(owner, tuple) or (is_dataclass(owner) and cast(Any, owner).__dataclass_params__.frozen)
