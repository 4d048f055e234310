"""Exact state of a running Isaac Lab environment: with it and the random generators, steps continue bit by bit.

State is found by a walk over the scene's entities and the managers rather than listed, so a new term or sensor needs no
change here. The walk keeps arrays, numbers and flags by path, for example `scene.robot._data...`. It

- enters objects of Isaac Lab and of this project, terms of managers wherever they come from, and containers; of a
  torch module it keeps what its `state_dict` holds;
- leaves out configs, which a resumed run may change. A term that changes its own config has `state_dict` and
  `load_state_dict`, which are used;
- leaves out further views of memory that it has already kept, and what other libraries own. Of Newton it keeps what
  `_physics` names and what the articulations bind; contacts and constraints are computed anew in every step.

The ground is not part of it: it has to be generated from the same seed.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from math import isfinite
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
from torch.nn import Module

from rlmpc.checkpoint.arrays import misfits
from rlmpc.config.overrides import flatten
from rlmpc.graphs import Replayed

MANAGERS = ("command", "action", "observation", "event", "recorder", "termination", "reward", "curriculum")
ENTERED_PACKAGES = {"isaaclab", "isaaclab_newton", "isaaclab_tasks", "rlmpc"}
"""Packages whose objects the walk enters."""

NUMBERS = {wp.bool, wp.int8, wp.uint8, wp.int16, wp.int32, wp.int64, wp.float16, wp.float32, wp.float64}
"""Types of array entries that are state; wide unsigned ones are addresses in this process."""

PASSED_OVER = {
    # Large, and computed by every step before it is read.
    "_obs_buffer",
    "_ray_starts_w",
    "_ray_directions_w",
    # Restored, within the limits of today's config, by the `load_state_dict` of the command.
    "_ranges",
    "_limits",
    # Set by whoever holds commands.
    "_held",
    "_is_held",
    # Filled on demand with what never changes.
    "_selector_cache",
    "_launch_cache",
}
"""Names of attributes that are not entered; see `_is_passed_over` for the others."""

CACHE = ".cache"
"""Ends the path of a value computed on demand, which may exist in one process only."""

GROUND = "physics.ground"
"""Path of the checksum of meshes and height fields; it is compared, never loaded."""

LEVELS, NUM_LEVELS = "scene.terrain.terrain_levels", "scene.terrain.max_terrain_level"
"""Paths of the level of every environment, and of the number of levels."""

CONSTANT = re.compile(
    r"(indices|_ids|_idx|_dataid|_matid|_to_backend|max_len|max_len_int|num_envs|num_bodies|num_joints|num_instances|"
    r"_batch_size|terrain_types|max_terrain_level)(\.[^.]*)?$",
    re.IGNORECASE,
)
"""Paths of sizes and indices, which never change: with others, arrays would be read beyond their ends."""

MAX_FAULTS = 20
"""Largest number of lines in an error; a wrong task differs in hundreds of paths."""


class _Slot(NamedTuple):
    """The place of a value, and the value: a tensor on the same memory, or plain data."""

    owner: Any
    key: Any
    value: Any


def state_of(env: ManagerBasedRLEnv, adapter: object) -> dict[str, Any]:
    """Return everything that determines how the environments continue after a step, except global random generators.

    Args:
        env: an environment that has been stepped.
        adapter: the object that wraps it; its own tensors are state as well.

    Returns:
        Path -> tensor on the environment's device, number, or plain container.
    """
    state = {path: slot.value for path, slot in _slots(env, adapter).items()}
    return state | {path: value.detach().clone() for path, value in state.items() if isinstance(value, Tensor)}


def load_state(env: ManagerBasedRLEnv, adapter: object, state: Mapping[str, Any]) -> None:
    """Continue from `state`. Arrays are written in place, because recorded graphs of the simulation refer to them.

    Args:
        env: an environment that has been stepped, with the same config, number of environments and terrain seed.
        adapter: as for `state_of`.
        state: what `state_of` returned in any process; its tensors may be on another device.

        Raises:
            ValueError: if the state is of another environment; nothing has been written then.
    """
    slots = _slots(env, adapter)
    _check(slots, state)
    # First, because a term may refuse its numbers.
    for path, slot in slots.items():
        if isinstance(slot.value, dict) and path in state:
            slot.owner.load_state_dict(state[path])
    for path, (owner, key, value) in slots.items():
        if path == GROUND or isinstance(value, dict):
            continue
        if path not in state:
            # The saved process never computed this value, so the one cached here is stale.
            if key == "timestamp":
                owner.timestamp = -1.0
        elif isinstance(value, Tensor):
            value.copy_(state[path])
        elif isinstance(owner, dict | list):
            owner[key] = state[path]
        else:
            setattr(owner, key, type(value)(state[path]))
    # Renderers and other readers of the whole scene must not reuse the poses they have cached.
    NewtonManager._mark_transforms_changed()


def _check(slots: Mapping[str, _Slot], state: Mapping[str, Any]) -> None:
    """Raise `load_state`'s ValueError if the state does not fit."""
    faults = [f"missing: {path}" for path in slots.keys() - state.keys() if f"{CACHE}." not in path]
    faults += [f"unknown: {path}" for path in state.keys() - slots.keys() if f"{CACHE}." not in path]
    for path in slots.keys() & state.keys():
        faults += _faults_of(path, slots[path].value, state[path])
    if faults:
        shown = sorted(faults)[:MAX_FAULTS]
        more = [f"and {len(faults) - MAX_FAULTS} more"] if len(faults) > MAX_FAULTS else []
        raise ValueError("\n  ".join(["the state is not of this environment", *shown, *more]))
    levels = state.get(LEVELS)
    if levels is not None and not bool(((levels >= 0) & (levels < slots[NUM_LEVELS].value)).all()):
        raise ValueError(f"the state is not of this environment\n  not a level: {LEVELS}")
    if slots[GROUND].value != state[GROUND]:
        raise ValueError(f"the state is of another ground; generate the terrain from its seed\n  differs: {GROUND}")


def _faults_of(path: str, here: Any, there: Any) -> list[str]:
    """Return what is wrong with a value from a file, whose place here has the value `here`."""
    if lines := misfits(there, here, path):
        return [f"of another kind (there | here): {line}" for line in lines]
    numbers = flatten(there, f"{path}.") if isinstance(there, dict) else {path: there}
    if not all(
        isfinite(n)
        for value in numbers.values()
        for n in (value if isinstance(value, list) else [value])
        if isinstance(n, float)
    ):
        return [f"not finite: {path}"]
    if not CONSTANT.search(path):
        return []
    is_same = torch.equal(cast(Tensor, there).to(here.device), here) if isinstance(here, Tensor) else there == here
    return [] if is_same else [f"another size or index: {path}"]


def _slots(env: ManagerBasedRLEnv, adapter: object) -> dict[str, _Slot]:
    """Return everything that is state, by path."""
    walk = _Walk(passed_over=(env, env.scene, env.sim, env.sim.get_scene_data_provider(), adapter))
    walk.slots[GROUND] = _Slot(None, None, _ground(NewtonManager.get_model()))
    walk.visit("physics", _Slot(None, None, _physics()))
    # Integers, which a checkpoint can hold.
    changes = {int(change) for change in NewtonManager._model_changes}
    walk.slots["physics.model_changes"] = _Slot(NewtonManager, "_model_changes", changes)
    walk.visit("physics.kinematics_dirty", _Slot(NewtonManager, "kinematics_dirty", NewtonManager.kinematics_dirty))
    walk.visit("physics.time_s", _Slot(PhysicsManager, "_sim_time", PhysicsManager._sim_time))
    for name in env.scene.keys():  # noqa: SIM118  a scene is no dict
        walk.visit(f"scene.{name}", _Slot(env.scene, name, env.scene[name]))
    for name in MANAGERS:
        walk.visit(name, _Slot(env, name, getattr(env, f"{name}_manager")))
    # Last, because these attributes often refer to what a manager owns. The adapter's numbers are copies of its
    # config's.
    for name, owner, kinds in (("env", env, Tensor | bool | int | float), ("adapter", adapter, Tensor)):
        for key, value in vars(owner).items():
            if isinstance(value, kinds):
                walk.visit(f"{name}.{key}", _Slot(owner, key, value))
    return walk.slots


def _physics() -> dict[str, Any]:
    """Return arrays of Newton and its solver that outlive a step and that no articulation binds as a whole.

    Arrays of the solver's model with a row for each environment, marked by `*`, may have been randomised. They are kept
    although they follow from Newton's: deriving unchanged ones again would not give the same bits as compiling did.
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
    """Return the checksum for `GROUND`; meshes of robots are included, once."""
    sources = {id(source): source for source in model.shape_source}.values()
    checksum = 0
    for source in sources:
        if isinstance(source, Mesh | Heightfield):
            heights = source.vertices if isinstance(source, Mesh) else source.data
            checksum = crc32(np.ascontiguousarray(heights), checksum)
    return checksum


class _Walk:
    """Collects slots depth first; see the module's docstring for what it enters.

    Args:
        passed_over: objects that are not entered, however they are reached.
    """

    def __init__(self, passed_over: Iterable[object]) -> None:
        self.slots: dict[str, _Slot] = {}
        self._seen = {id(value) for value in passed_over}
        self._starts: list[int] = []
        self._ends: list[int] = []

    def visit(self, path: str, slot: _Slot) -> None:
        """Keep the slot's value if it is state itself, else visit its members."""
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
            if _is_entered(value) and hasattr(value, "load_state_dict") and not isinstance(value, Module):
                self.slots[f"{path}.state_dict"] = _Slot(value, None, cast(Any, value).state_dict())

    def _is_new(self, tensor: Tensor) -> bool:
        """Return whether the tensor's memory lies in none of the earlier tensors, and remember it."""
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
    """Return an array of numbers as a tensor that shares its memory; None for anything else and for empty arrays."""
    if isinstance(value, wp.array):
        is_number = getattr(value.dtype, "_wp_scalar_type_", value.dtype) in NUMBERS
        return wp.to_torch(value) if is_number and value.size else None
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(value) if value.dtype.kind in "bif" else None
    return value if isinstance(value, Tensor) and value.numel() else None


def _members(value: Any) -> Iterable[tuple[Any, Any]]:
    """Return the members of a value to visit, each with its name or index."""
    if isinstance(value, dict):
        return value.items()
    if isinstance(value, list | tuple):
        return enumerate(value)
    if isinstance(value, Module):
        # Not copied: a state is loaded in place.
        return value.state_dict(keep_vars=True).items()
    if isinstance(value, ManagerTermBaseCfg):
        return [("func", value.func)] if isinstance(value.func, ManagerTermBase) else []
    if not _is_entered(value) or (isinstance(value, TimestampedBuffer) and value.data is None):
        return []
    members = getattr(value, "__dict__", {}).items()
    return [(key, member) for key, member in members if not _is_passed_over(key)]


def _is_passed_over(name: str) -> bool:
    """Return whether an attribute is no state by its name: a callback's number, or memory that nobody ever fills."""
    return name in PASSED_OVER or name.endswith("_handle") or name.startswith("_dummy_")


def _is_entered(value: Any) -> bool:
    """Return whether the attributes of an object may be state: a recording holds none."""
    is_config = hasattr(value, "to_dict") and hasattr(value, "__dataclass_fields__")
    is_ours = type(value).__module__.partition(".")[0] in ENTERED_PACKAGES or isinstance(value, ManagerTermBase)
    return is_ours and not is_config and not isinstance(value, Replayed)


def _is_frozen(owner: Any) -> bool:
    """Return whether numbers in an object cannot change."""
    return isinstance(owner, tuple) or (is_dataclass(owner) and cast(Any, owner).__dataclass_params__.frozen)
