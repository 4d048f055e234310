"""What somebody without this code needs to drive the robot: the `manual` of `policy.json`, in words and numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from rlmpc.contract.actuation import CONTROLLER, controller_of, is_served
from rlmpc.contract.contract import Contract
from rlmpc.contract.observations import ObsTerm
from rlmpc.contract.terms import TERMS, Meaning
from rlmpc.robots.table import ROBOTS

VALUES = (
    "Once per control step, before the graph is called: take one frame of every term, clip it to the term's clip, then "
    "multiply it by its scale. No noise. Means and variances are in the graph. A group is its terms in their order, "
    "float32, one row for each robot."
)
HISTORY = (
    "A term's columns are its frames one after the other, the oldest first and the newest last, each frame with all "
    "entries. At the start of an episode the first frame is repeated until the history is full."
)
START = (
    "At the start of an episode last_action and every input state.<name> are zeros; from then on state.<name> is the "
    "output next_state.<name> of the step before."
)
TARGETS = (
    "target positions of the term's joints, in their order: offset + scale x action, held until the next action; the "
    "numbers are those of this term in contract.actions"
)
PERIOD = (
    "period of the gait clock: offset_s + scale_s x action, kept within period_range_s; the numbers are those of this "
    "term in contract.actions"
)
PARAMETERS = (
    "parameters of the predictive controller: clip(offset + scale x action, low, high), held until the next action; "
    "names and numbers are those of this term in contract.actions, units those of rlmpc.mpc.parameters"
)
CLIP = "Actions are clipped to these bounds before anything uses them; one that is not finite counts as 0."
TORQUE = (
    "torque = stiffness x (target position - position) - damping x velocity, clipped to +-effort_limit; "
    "stiffness, damping and effort_limit are those of contract.joints. A joint that no action moves keeps default_pos."
)
CONTROLLER_NEEDS = {
    "code": "rlmpc.mpc.single.SingleController, made of the robot and of the term 'mpc' in contract.actions, whose "
    "'model.<name>' and 'walk.<name>' are its settings",
    "plan": "once per control step, after the graph, from the state, velocity_command without clip and scale, and the "
    "action",
    "torques": "before every physics step, from the state of that moment: efforts of all joints [N m] in the order of "
    "the robot's description, within their limits, in addition to pd_law",
    "state": "rlmpc.mpc.state.RobotState: poses of all links and velocities of their centres of mass in the world, "
    "positions and velocities of the joints, and the normal force on each sole. A robot of metal does not measure the "
    "velocity of its root, which must be estimated.",
    "start": "standing, at the first plan",
}
CLOCK = {
    "start": "any phase in [0, 1), which the first observation sees; training draws it at random for every episode",
    "advance": "after every action, phase = (phase + control_dt / period) mod 1, with the period that this action sets",
    "legs": "phase of a leg = (phase + leg_offset) mod 1, left then right",
}


def manual(contract: Contract) -> dict[str, Any]:
    """Return how to drive the robot of a policy.

    Args:
        contract: of the policy, with the groups that it acts on.

    Returns:
        Plain data. What the contract does not tell is None: a term that has no line in `rlmpc.contract.terms`, an
        action that only its environment understands, a robot or its revision.
    """
    groups = contract.observations.groups
    limit, dt, world = contract.action_limit, contract.control_dt, contract.world
    clock = next((term for term in contract.actions if term["name"] == "gait_cycle"), None)
    law = {"law": TORQUE, "unit": "N m", "rate_hz": None if world is None else round(world.num_substeps / dt, 6)}
    return {
        "control_rate_hz": round(1.0 / dt, 6),
        "observations": {group: list(_observed(contract, group, terms)) for group, terms in groups.items()},
        "values": VALUES,
        "history": HISTORY,
        "start": START,
        "actions": list(_acted(contract.actions)),
        "action_clip": None if limit is None else {"low": -limit, "high": limit, "meaning": CLIP},
        "pd_law": law if contract.joints and is_served(contract.actions) else None,
        "controller": None if controller_of(contract.actions) is None else CONTROLLER_NEEDS,
        "clock": None if clock is None else {**CLOCK, "start_phase": 0.0, "leg_offsets": clock.get("leg_offsets")},
        "robot": _robot(contract),
    }


def _observed(contract: Contract, group: str, terms: Iterable[ObsTerm]) -> Iterable[dict[str, Any]]:
    for term in terms:
        columns = contract.observations.columns(group, term.name)
        known = TERMS.get(term.name)
        told: dict[str, Any] = dict.fromkeys(Meaning.__dataclass_fields__) if known is None else asdict(known)
        yield {"name": term.name, "columns": [columns.start, columns.stop], "frames": term.history, **told}


def _acted(terms: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    told = {"joint_pos": ("rad", TARGETS), "gait_cycle": ("s", PERIOD), CONTROLLER: (None, PARAMETERS)}
    start = 0
    for term in terms:
        unit, meaning = told.get(term["name"], (None, None))
        yield {"name": term["name"], "columns": [start, start + term["dim"]], "unit": unit, "meaning": meaning}
        start += term["dim"]


def _robot(contract: Contract) -> dict[str, Any] | None:
    if not contract.robot:
        return None
    robot, revision = ROBOTS.get(contract.robot), contract.robot_revision or None
    told = {"name": contract.robot, "sha256": revision}
    if robot is None or robot.revision != revision:
        return told | dict.fromkeys(("file", "source", "root"))
    return told | {"file": robot.description_file.name, "source": robot.source, "root": robot.root}
