"""What a policy and the world it acts in must agree upon; stored with every policy and compared before it acts again.

A policy that is shown another order of terms, or whose actions move other joints, does not fail: it walks badly. So the
agreement is written down as plain data and differences are reported by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isclose
from typing import Any, TypeGuard

from rlmpc.contract.observations import ObsSchema
from rlmpc.errors import UserError
from rlmpc.world import World

RELATIVE_TOLERANCE = 1e-5
"""Numbers that pass through single precision on another device may differ by less."""

Plain = Any
"""Dicts, lists, strings, numbers and None, nested."""


@dataclass(frozen=True)
class Contract:
    """Agreement between a policy and its environment."""

    control_dt: float
    """Seconds between two actions."""
    observations: ObsSchema
    """Groups with their terms in order: dimension, history, scale and clip."""
    actions: tuple[dict[str, Plain], ...]
    """Action terms in order, each with `name`, `dim` and what turns raw actions into targets."""
    joints: dict[str, Plain] = field(default_factory=dict)
    """Robot: `names`, `default_pos` [rad], `stiffness` [N m/rad], `damping` [N m s/rad], `armature` [kg m^2] and
    `effort_limit` [N m], lists in one order; empty without a robot."""
    robot: str = ""
    """Name of the robot in `rlmpc.robots.table`; empty without a robot."""
    action_limit: float | None = None
    """Bound of raw actions; None: there is none."""
    world: World | None = None
    """Where the policy was trained. Nothing to agree upon: it may be played elsewhere."""

    @property
    def num_actions(self) -> int:
        """A."""
        return sum(action["dim"] for action in self.actions)

    @classmethod
    def from_dict(cls, data: Mapping[str, Plain]) -> Contract:
        """The contract that `to_dict` described."""
        observations = ObsSchema.from_dict(data["observations"])
        world = data.get("world")
        return cls(
            data["control_dt"],
            observations,
            tuple(data["actions"]),
            dict(data["joints"]),
            data.get("robot", ""),
            data.get("action_limit"),
            None if world is None else World.from_dict(world),
        )

    def to_dict(self) -> dict[str, Plain]:
        """Plain dicts and lists, for a checkpoint or a JSON file."""
        return {
            "control_dt": self.control_dt,
            "observations": self.observations.to_dict(),
            "actions": list(self.actions),
            "joints": self.joints,
            "robot": self.robot,
            "action_limit": self.action_limit,
            "world": None if self.world is None else self.world.to_dict(),
        }


def check_contract(policy: Contract, world: Contract, groups: Iterable[str], owner: str) -> None:
    """Refuse to let a policy act in a world that it was not made for.

    Args:
        policy: the agreement stored with the policy.
        world: that of the environment at hand.
        groups: observation groups that the policy reads; others may differ.
        owner: what the policy is called in the message, for example the checkpoint's path.

    Raises:
        UserError: with a line for every difference.
    """
    lines = differences(_relevant(policy, groups), _relevant(world, groups))
    if lines:
        raise UserError(
            f"'{owner}' does not fit this environment; what differs (there | here):\n  " + "\n  ".join(lines)
        )


def differences(there: Plain, here: Plain, path: str = "") -> list[str]:
    """A line `path: there | here` for everything that differs between two pieces of plain data."""
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        names = [*there, *(name for name in here if name not in there)]
        return [line for name in names for line in _at(there, here, name, f"{path}.{name}".lstrip("."))]
    if _is_list(there) and _is_list(here):
        return _list_differences(there, here, path)
    return [] if _equal(there, here) else [f"{path}: {_shown(there)} | {_shown(here)}"]


def _relevant(contract: Contract, groups: Iterable[str]) -> dict[str, Plain]:
    data = contract.to_dict()
    del data["world"]
    return {**data, "observations": {g: data["observations"][g] for g in groups if g in data["observations"]}}


def _at(there: Mapping[str, Plain], here: Mapping[str, Plain], name: str, path: str) -> list[str]:
    if name in there and name in here:
        return differences(there[name], here[name], path)
    present = there if name in there else here
    sides = (_shown(present[name]), "missing")
    return [f"{path}: {' | '.join(sides if name in there else reversed(sides))}"]


def _list_differences(there: Sequence[Plain], here: Sequence[Plain], path: str) -> list[str]:
    """Named entries are compared by name, after their order; others one by one, reporting how many differ."""
    names = [
        [entry["name"] for entry in side if isinstance(entry, Mapping) and "name" in entry] for side in (there, here)
    ]
    if names[0] and names[1]:
        order = [] if names[0] == names[1] else [f"{path}, order: {', '.join(names[0])} | {', '.join(names[1])}"]
        by_name = [{entry["name"]: entry for entry in side} for side in (there, here)]
        shared = [name for name in names[0] if name in by_name[1]]
        inner = [differences(by_name[0][name], by_name[1][name], f"{path}.{name}") for name in shared]
        return order + [line for lines in inner for line in lines]
    if len(there) != len(here):
        return [f"{path}: {len(there)} entries | {len(here)} entries"]
    unlike = [i for i, (a, b) in enumerate(zip(there, here, strict=True)) if not _equal(a, b)]
    if not unlike:
        return []
    first = unlike[0]
    return [
        f"{path}: {len(unlike)} of {len(there)} entries, the first at {first}: "
        f"{_shown(there[first])} | {_shown(here[first])}"
    ]


def _is_list(value: Plain) -> TypeGuard[Sequence[Plain]]:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _equal(there: Plain, here: Plain) -> bool:
    numbers = (int, float)
    if isinstance(there, numbers) and isinstance(here, numbers):
        return isclose(there, here, rel_tol=RELATIVE_TOLERANCE, abs_tol=1e-9)
    return there == here


def _shown(value: Plain) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
