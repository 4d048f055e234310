"""What `policy.json` says to people."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from rlmpc.contract.contract import Contract
from rlmpc.contract.observations import ObsSchema, ObsTerm
from rlmpc.export.manual import manual
from rlmpc.robots.table import ROBOTS

G1 = ROBOTS["g1_29dof"]
JOINTS = [{"name": "joint_pos", "dim": 29}, {"name": "gait_cycle", "dim": 1, "leg_offsets": [0.0, 0.5]}]
CONTRACT = Contract(
    control_dt=0.02,
    observations=ObsSchema({"policy": (ObsTerm("joint_vel", 29, 10, 0.05), ObsTerm("gait_phase", 4))}),
    actions=tuple(JOINTS),
    joints={"names": list(G1.description.joint_names)},
    robot="g1_29dof",
    action_limit=100.0,
    robot_revision=G1.revision,
)


def test_every_term_has_its_columns_unit_frame_meaning_and_order():
    vel, phase = manual(CONTRACT)["observations"]["policy"]
    assert (vel["name"], vel["columns"], vel["frames"], vel["unit"]) == ("joint_vel", [0, 290], 10, "rad/s")
    assert vel["order"] == "one entry for each of contract.joints.names, in that order"
    assert (phase["columns"], phase["order"]) == ([290, 294], "sin left, sin right, cos left, cos right")
    assert all(text for term in (vel, phase) for text in term.values())


def test_actions_clip_law_and_clock_are_told():
    told = manual(CONTRACT)
    assert [(term["columns"], term["unit"]) for term in told["actions"]] == [([0, 29], "rad"), ([29, 30], "s")]
    assert (told["action_clip"]["low"], told["action_clip"]["high"]) == (-100.0, 100.0)
    assert "stiffness x (target position - position) - damping x velocity" in told["pd_law"]["law"]
    assert (told["clock"]["start_phase"], told["clock"]["leg_offsets"]) == (0.0, [0.0, 0.5])
    assert told["control_rate_hz"] == 50.0


def test_of_actions_for_a_controller_it_is_told_what_that_needs():
    told = manual(replace(CONTRACT, actions=({"name": "mpc", "dim": 3},)))
    assert "predictive controller" in told["actions"][0]["meaning"]
    assert "must be estimated" in told["controller"]["state"]
    assert "in addition to pd_law" in told["controller"]["torques"]
    assert manual(CONTRACT)["controller"] is None


def test_of_actions_that_only_an_environment_knows_no_law_is_told():
    assert manual(replace(CONTRACT, actions=({"name": "push", "dim": 3},)))["pd_law"] is None


def test_the_robots_model_and_its_revision_are_told():
    robot = manual(CONTRACT)["robot"]
    assert (robot["name"], robot["file"], robot["sha256"]) == ("g1_29dof", "g1_29dof.json", G1.revision)
    assert robot["root"] == "pelvis"
    assert robot["source"].startswith("Unitree G1, 29 joints, revision 1.0; Unitree's published")


@pytest.mark.parametrize("revision", ["", "0" * 64])
def test_of_a_policy_whose_robot_is_unknown_or_was_another_no_source_is_claimed(revision: str):
    """Checkpoints that are older than the revision lack it."""
    robot = manual(replace(CONTRACT, robot_revision=revision))["robot"]
    unknown = {"file": None, "source": None, "root": None}
    assert robot == {"name": "g1_29dof", "sha256": revision or None, **unknown}


def test_what_the_contract_does_not_tell_is_null():
    odd = ObsSchema({"policy": (ObsTerm("smell", 2),)})
    told = manual(Contract(0.05, odd, ({"name": "push", "dim": 2},)))
    assert told["observations"]["policy"][0]["meaning"] is None
    assert told["actions"][0]["meaning"] is None
    assert {told[key] for key in ("robot", "clock", "pd_law", "action_clip")} == {None}


@pytest.mark.slow
def test_the_json_file_of_an_export_has_it(exports):
    told = json.loads((exports("rma").folder / "policy.json").read_text())["manual"]
    assert [term["name"] for term in told["observations"]["policy"]] == ["target_error", "last_action", "position"]
