from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch

from rlmpc.contract.contract import Contract, check_contract
from rlmpc.contract.differences import differences
from rlmpc.contract.observations import ObsSchema, ObsTerm
from rlmpc.contract.world import HeightScanner, Terrain, World
from rlmpc.errors import UserError

SENSED = (ObsTerm("joint_pos", 2, 5), ObsTerm("gyro", 3, 1, 0.2), ObsTerm("command", 3, 1, [2.0, 2.0, 0.25], [-1.0, 1]))
CONTRACT = Contract(
    control_dt=0.02,
    observations=ObsSchema({"policy": SENSED, "critic": (ObsTerm("mass", 1),)}),
    actions=(
        {"name": "joints", "dim": 2, "joints": ["hip", "knee"], "scale": [0.25, 0.25], "offset": [0.1, -0.3]},
        {"name": "gait", "dim": 1, "period_range_s": [0.3, 2.0]},
    ),
    joints={"names": ["hip", "knee"], "default_pos": [0.1, -0.3], "stiffness": [100.0, 150.0]},
    robot="leg",
    action_limit=100.0,
    world=World(
        num_substeps=4,
        gravity=[0.0, 0.0, -9.81],
        integrator="implicitfast",
        cone="pyramidal",
        impratio=1.0,
        contact_stiffness=1.6e5,
        contact_damping=1100.0,
        heading_noise_rad=0.1,
        max_start_velocity=0.1,
        episode_length_s=12.0,
        max_tilt_rad=0.8,
        min_height_m=None,
        terrain=Terrain({"flat": {"shape": "flat_terrain"}}, 1, [0.0, 1.0], [8.0, 8.0], 8.0),
        height_scanner=HeightScanner("torso", [0.2, 0.0, 0.4], [1.3, 0.4], 0.05, 7.0),
    ),
)


def plain() -> dict[str, Any]:
    return deepcopy(CONTRACT.to_dict())


def term(data: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (term for term in data["observations"]["policy"] if term["name"] == name)
    return found


def swap(entries: list[Any], first: int, second: int) -> None:
    entries[first], entries[second] = entries[second], entries[first]


def edited(edit: Any) -> list[str]:
    """Differences between the contract and an edited copy."""
    data = plain()
    edit(data)
    return differences(CONTRACT.to_dict(), Contract.from_dict(data).to_dict())


@pytest.mark.parametrize(
    ("edit", "lines"),
    [
        (
            lambda data: swap(data["observations"]["policy"], 0, 1),
            ["observations.policy, order: joint_pos, gyro, command | gyro, joint_pos, command"],
        ),
        (
            lambda data: data["observations"]["policy"].pop(1),
            ["observations.policy, order: joint_pos, gyro, command | joint_pos, command"],
        ),
        (
            lambda data: data["observations"]["policy"].append({"name": "scan", "dim": 4}),
            ["observations.policy, order: joint_pos, gyro, command | joint_pos, gyro, command, scan"],
        ),
        (lambda data: term(data, "gyro").update(scale=0.25), ["observations.policy.gyro.scale: 0.2 | 0.25"]),
        (
            lambda data: term(data, "command").update(scale=[2.0, 2.0, 0.5]),
            ["observations.policy.command.scale: 1 of 3 entries, the first at 2: 0.25 | 0.5"],
        ),
        (
            lambda data: term(data, "command").update(clip=None),
            ["observations.policy.command.clip: [-1.0, 1] | None"],
        ),
        (lambda data: term(data, "joint_pos").update(history=6), ["observations.policy.joint_pos.history: 5 | 6"]),
        (lambda data: term(data, "joint_pos").update(dim=3), ["observations.policy.joint_pos.dim: 2 | 3"]),
        (lambda data: data.update(control_dt=0.01), ["control_dt: 0.02 | 0.01"]),
        (
            lambda data: data["joints"].update(names=["knee", "hip"]),
            ["joints.names: 2 of 2 entries, the first at 0: hip | knee"],
        ),
        (
            lambda data: data["joints"].update(default_pos=[0.1, -0.4]),
            ["joints.default_pos: 1 of 2 entries, the first at 1: -0.3 | -0.4"],
        ),
        (lambda data: data["joints"].pop("stiffness"), ["joints.stiffness: [100.0, 150.0] | missing"]),
        (lambda data: data["joints"].update(damping=[1.0, 1.0]), ["joints.damping: missing | [1.0, 1.0]"]),
        (
            lambda data: data["actions"][0].update(joints=["knee", "hip"]),
            ["actions.joints.joints: 2 of 2 entries, the first at 0: hip | knee"],
        ),
        (
            lambda data: data["actions"][0].update(scale=[0.25, 0.5]),
            ["actions.joints.scale: 1 of 2 entries, the first at 1: 0.25 | 0.5"],
        ),
        (lambda data: data.update(actions=data["actions"][::-1]), ["actions, order: joints, gait | gait, joints"]),
        (
            lambda data: data["actions"][1].update(period_range_s=[0.4, 2.0]),
            ["actions.gait.period_range_s: 1 of 2 entries, the first at 0: 0.3 | 0.4"],
        ),
    ],
)
def test_what_differs_is_named_with_both_sides(edit: Any, lines: list[str]):
    assert edited(edit) == lines


def test_everything_that_differs_is_listed():
    def edit(data: dict[str, Any]) -> None:
        data["control_dt"] = 0.01
        term(data, "gyro")["scale"] = 1.0
        term(data, "joint_pos")["history"] = 6
        swap(data["observations"]["policy"], 0, 2)

    assert [line.partition(":")[0] for line in edited(edit)] == [
        "control_dt",
        "observations.policy, order",
        "observations.policy.joint_pos.history",
        "observations.policy.gyro.scale",
    ]


def test_a_contract_equals_itself_also_after_json_and_single_precision():
    there = CONTRACT.to_dict()
    assert differences(there, json.loads(json.dumps(there))) == []
    rounded = plain()
    rounded["control_dt"] = torch.tensor(0.02).item()
    rounded["joints"]["default_pos"] = torch.tensor([0.1, -0.3]).tolist()
    term(rounded, "gyro")["scale"] = torch.tensor(0.2).item()
    assert rounded["control_dt"] != 0.02
    assert differences(there, rounded) == []


@pytest.mark.parametrize(("scale", "found"), [(0.2 * (1 + 1e-4), 1), (0.2 * (1 - 1e-4), 1), (0.2 * (1 + 1e-6), 0)])
def test_a_difference_beyond_single_precision_counts(scale: float, found: int):
    assert len(edited(lambda data: term(data, "gyro").update(scale=scale))) == found


def test_a_long_difference_is_cut():
    (line,) = differences({"names": "x" * 500}, {"names": "y" * 500})
    assert len(line) < 140


def test_a_contract_comes_back_from_plain_data():
    again = Contract.from_dict(json.loads(json.dumps(CONTRACT.to_dict())))
    assert again.to_dict() == CONTRACT.to_dict()
    assert again.world == CONTRACT.world
    assert again.num_actions == 3
    assert again.observations.term("policy", "joint_pos").width == 10


def other_critic() -> Contract:
    data = plain()
    data["observations"]["critic"][0]["dim"] = 2
    return Contract.from_dict(data)


def test_only_the_groups_that_are_asked_for_are_compared():
    check_contract(CONTRACT, other_critic(), ["policy"], "a")
    with pytest.raises(UserError):
        check_contract(CONTRACT, other_critic(), ["policy", "critic"], "a")


def test_a_refusal_names_the_owner_and_has_a_line_for_every_difference():
    with pytest.raises(UserError) as caught:
        check_contract(CONTRACT, other_critic(), ["critic"], "runs/a.ckpt")
    assert str(caught.value).splitlines() == [
        "'runs/a.ckpt' does not fit this environment; what differs (there | here):",
        "  observations.critic.mass.dim: 1 | 2",
    ]


def test_a_group_that_one_side_lacks_is_a_difference():
    data = plain()
    del data["observations"]["critic"]
    without = Contract.from_dict(data)
    for policy, world, sides in [(CONTRACT, without, "| missing"), (without, CONTRACT, ": missing |")]:
        with pytest.raises(UserError) as caught:
            check_contract(policy, world, ["critic"], "a")
        assert "observations.critic" in str(caught.value)
        assert sides in str(caught.value)


def test_robot_and_action_limit_are_compared_but_not_the_world_of_the_training():
    check_contract(CONTRACT, replace(CONTRACT, world=None), ["policy"], "a")
    other = replace(CONTRACT, robot="arm", action_limit=50.0)
    with pytest.raises(UserError, match=r"robot: leg \| arm\n  action_limit: 100 \| 50"):
        check_contract(CONTRACT, other, ["policy"], "a")


def test_actions_and_joints_are_compared_whatever_the_groups():
    for edit in (lambda data: data["joints"]["names"].reverse(), lambda data: data["actions"].pop()):
        data = plain()
        edit(data)
        with pytest.raises(UserError):
            check_contract(CONTRACT, Contract.from_dict(data), [], "a")


def test_a_contract_from_before_the_robots_revision_was_kept_is_read_and_fits():
    older = plain()
    del older["robot_revision"]
    assert Contract.from_dict(older).to_dict() == CONTRACT.to_dict()
    check_contract(CONTRACT, replace(CONTRACT, robot_revision="0" * 64), ("policy",), "a policy")
