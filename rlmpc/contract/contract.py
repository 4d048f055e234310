"""What a policy and its environment must agree on; stored with every policy and compared before it acts again.

A policy that sees its terms in another order, or whose actions move other joints, does not fail: it walks badly. So the
agreement is stored as plain data, and differences are reported by name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from rlmpc.contract.actuation import ActionTerm, AllJoints, moved_joints
from rlmpc.contract.differences import Plain, differences
from rlmpc.contract.observations import ObsSchema
from rlmpc.contract.schema import As, Positive, Text, checked, closed, misfit
from rlmpc.contract.world import World
from rlmpc.errors import UserError


@closed
@dataclass(frozen=True)
class Contract:
    """Agreement between a policy and its environment."""

    control_dt: Annotated[float, Field(strict=True, ge=1e-5, le=10.0)]
    """Seconds between two actions."""
    observations: ObsSchema
    """Groups with their terms in order: dimension, history, scale and clip."""
    actions: Annotated[tuple[Annotated[dict[str, Plain], As(ActionTerm)], ...], Field(min_length=1)]
    """Action terms in order, each with `name`, `dim` and the numbers that turn raw actions into targets."""
    joints: Annotated[dict[str, Plain], As(AllJoints)] = field(default_factory=dict)
    """Robot: `names`, `default_pos` [rad], `stiffness` [N m/rad], `damping` [N m s/rad], `armature` [kg m^2] and
    `effort_limit` [N m], lists in one order; empty without a robot."""
    robot: Text = ""
    """Name of the robot in `rlmpc.robots.table`; empty without a robot."""
    action_limit: Positive | None = None
    """Bound of raw actions; None if there is none."""
    world: World | None = None
    """Where the policy was trained. Not compared: a policy may be played elsewhere."""
    robot_revision: Text = ""
    """SHA-256 of the robot's description that it was trained with; empty if unknown. Not compared: what of it a policy
    depends on is in `joints`."""

    @property
    def num_actions(self) -> int:
        """Number of actions A."""
        return sum(action["dim"] for action in self.actions)

    @classmethod
    def from_dict(cls, data: Any, source: str | Path = "the contract", field: str = "") -> Contract:
        """Return the contract that `to_dict` described.

        Args:
            data: what `to_dict` returned.
            source: the file that holds it, for messages.
            field: where in the file it lies, dotted.

        Raises:
            UserError: if something in it is missing, unknown or not accepted.
        """
        contract = checked(cls, data, source, field)
        foreign = sorted(moved_joints(contract.actions) - set(contract.joints.get("names", ())))
        if contract.joints and foreign:
            raise misfit(source, f"{field}.actions".lstrip("."), foreign, "actions should move joints of the robot")
        return contract

    def to_dict(self) -> dict[str, Plain]:
        """Return plain dicts and lists, for a checkpoint or a JSON file."""
        return {
            "control_dt": self.control_dt,
            "observations": self.observations.to_dict(),
            "actions": list(self.actions),
            "joints": self.joints,
            "robot": self.robot,
            "robot_revision": self.robot_revision,
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
    del data["world"], data["robot_revision"]
    return {**data, "observations": {g: data["observations"][g] for g in groups if g in data["observations"]}}
