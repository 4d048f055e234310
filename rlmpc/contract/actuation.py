"""The joints of a robot and the action terms that move them, as a contract holds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Discriminator, Field, Tag
from typing_extensions import TypedDict

from rlmpc.contract.schema import Flag, Name, NotNegative, Number, Positive, Vector2, Whole, Width, closed, extensible

CONTROLLER = "mpc"
"""Name of the action term that sets parameters of the predictive controller."""
SERVED = ("joint_pos", "gait_cycle", CONTROLLER)
"""Action terms of which a contract tells all that it takes to carry them out."""


@closed
class Joints(TypedDict, total=False):
    """Joints of a robot, lists in one order; empty without a robot."""

    names: list[Name]
    default_pos: list[Number]
    """[rad]"""
    stiffness: list[NotNegative]
    """[N m/rad]"""
    damping: list[NotNegative]
    """[N m s/rad]"""
    armature: list[NotNegative]
    """[kg m^2]"""
    effort_limit: list[Positive]
    """[N m]"""


@extensible
class OtherTerm(TypedDict, extra_items=Flag | Number | Name | list[Number] | list[Name] | None):
    """An action term whose numbers only its environment knows."""

    name: Name
    dim: Width


@closed
class JointTerm(TypedDict):
    """Targets of joint positions: `offset` [rad] + `scale` [rad] x raw action."""

    name: Name
    dim: Width
    joints: list[Name]
    scale: list[Number]
    offset: list[Number]


@closed
class GaitTerm(TypedDict):
    """The period of a gait: `offset_s` + `scale_s` x raw action, within `period_range_s`."""

    name: Name
    dim: Annotated[int, Field(strict=True, ge=1, le=1)]
    offset_s: Number
    scale_s: Number
    period_range_s: Annotated[list[Positive], Field(min_length=2, max_length=2)]
    leg_offsets: Vector2


@extensible
class ControllerTerm(TypedDict, extra_items=Flag | Whole | Number | Name | list[Number] | list[Name] | None):
    """Parameters of the predictive controller: clip(`offset` + `scale` x raw action, `low`, `high`).

    All settings of the controller come besides: `model.<name>` and `walk.<name>`.
    """

    name: Name
    dim: Width
    parameters: list[Name]
    """Of each action; see `rlmpc.mpc.parameters`."""
    offset: list[Number]
    scale: list[Number]
    low: list[Number]
    high: list[Number]


def _of_equal_length(joints: Joints) -> Joints:
    _check_lengths(joints, len(joints.get("names", ())), joints)
    return joints


def _of_its_width(term: JointTerm) -> JointTerm:
    _check_lengths(term, term["dim"], ("joints", "scale", "offset"))
    return term


def _of_its_actions(term: ControllerTerm) -> ControllerTerm:
    _check_lengths(term, term["dim"], ("parameters", "offset", "scale", "low", "high"))
    return term


def _check_lengths(lists: Mapping[str, Any], length: int, keys: Iterable[str]) -> None:
    if wrong := {key: len(lists[key]) for key in keys if len(lists[key]) != length}:
        raise ValueError(f"lists of {length} entries are needed, but there are {wrong}")


def _kind(term: Any) -> str:
    name = term.get("name") if isinstance(term, Mapping) else None
    return name if name in SERVED else "other"


ActionTerm = Annotated[
    Annotated[JointTerm, AfterValidator(_of_its_width), Tag("joint_pos")]
    | Annotated[GaitTerm, Tag("gait_cycle")]
    | Annotated[ControllerTerm, AfterValidator(_of_its_actions), Tag(CONTROLLER)]
    | Annotated[OtherTerm, Tag("other")],
    Discriminator(_kind),
]
AllJoints = Annotated[Joints, AfterValidator(_of_equal_length)]


def is_served(actions: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether all action terms can be carried out by what a contract tells of them."""
    return all(term["name"] in SERVED for term in actions)


def controller_of(actions: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the term that sets parameters of a predictive controller; None without one."""
    return next((term for term in actions if term["name"] == CONTROLLER), None)


def moved_joints(actions: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the names of all joints that action terms move."""
    return {name for term in actions if term["name"] == "joint_pos" for name in term["joints"]}
