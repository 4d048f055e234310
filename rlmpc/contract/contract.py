"""What a policy and its environment must agree on; stored with every policy and compared before it acts again.

A policy that sees its terms in another order, or whose actions move other joints, does not fail: it walks badly. So the
agreement is stored as plain data, and differences are reported by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rlmpc.contract.differences import Plain, differences
from rlmpc.contract.observations import ObsSchema
from rlmpc.contract.world import World
from rlmpc.errors import UserError


@dataclass(frozen=True)
class Contract:
    """Agreement between a policy and its environment."""

    control_dt: float
    """Seconds between two actions."""
    observations: ObsSchema
    """Groups with their terms in order: dimension, history, scale and clip."""
    actions: tuple[dict[str, Plain], ...]
    """Action terms in order, each with `name`, `dim` and the numbers that turn raw actions into targets."""
    joints: dict[str, Plain] = field(default_factory=dict)
    """Robot: `names`, `default_pos` [rad], `stiffness` [N m/rad], `damping` [N m s/rad], `armature` [kg m^2] and
    `effort_limit` [N m], lists in one order; empty without a robot."""
    robot: str = ""
    """Name of the robot in `rlmpc.robots.table`; empty without a robot."""
    action_limit: float | None = None
    """Bound of raw actions; None if there is none."""
    world: World | None = None
    """Where the policy was trained. Not compared: a policy may be played elsewhere."""

    @property
    def num_actions(self) -> int:
        """Number of actions A."""
        return sum(action["dim"] for action in self.actions)

    @classmethod
    def from_dict(cls, data: Mapping[str, Plain]) -> Contract:
        """Return the contract that `to_dict` described."""
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
        """Return plain dicts and lists, for a checkpoint or a JSON file."""
        return {
            "control_dt": self.control_dt,
            "observations": self.observations.to_dict(),
            "actions": list(self.actions),
            "joints": self.joints,
            "robot": self.robot,
            "action_limit": self.action_limit,
            "world": None if self.world is None else self.world.to_dict(),
        }


def check_contract(policy: Contract, world: Contract, groups: Iterable[str], source: str) -> None:
    """Refuse to let a policy act in an environment it was not made for.

    Args:
        policy: the contract stored with the policy.
        world: the contract of the environment at hand.
        groups: observation groups that the policy reads; others may differ.
        source: what the policy is called in the message, for example the checkpoint's path.

    Raises:
        UserError: if they differ, with a line for every difference.
    """
    lines = differences(_relevant(policy, groups), _relevant(world, groups))
    if lines:
        raise UserError(
            f"'{source}' does not fit this environment; what differs (there | here):\n  " + "\n  ".join(lines)
        )


def _relevant(contract: Contract, groups: Iterable[str]) -> dict[str, Plain]:
    data = contract.to_dict()
    del data["world"]
    return {**data, "observations": {g: data["observations"][g] for g in groups if g in data["observations"]}}
