"""Comparing graphs with the policies they were made of."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from rlmpc.errors import UserError
from rlmpc.export.parity import MAX_DIFFERENCE, check_parity, differences, require_parity
from rlmpc.export.write import export_policy
from rlmpc.networks.policy import GaussianPolicy
from tests.export.conftest import TOY, describe, fresh_policy, random_observations


def with_changed_weights(folder: Path, copy: Path, name: str, amount: float) -> Path:
    """A copy of an export with `amount` added to one of the graph's weights; the path of its graph."""
    shutil.copytree(folder, copy)
    model = onnx.load(copy / "policy.onnx")
    weights = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights) + np.float32(amount), name))
    onnx.save(model, copy / "policy.onnx")
    return copy / "policy.onnx"


def test_the_graph_acts_and_remembers_as_its_policy_does_over_1000_rows(exported):
    assert sum(len(step["policy"]) for step in exported.observations) == 1000
    assert 0.0 < check_parity(exported.policy, exported.onnx_path, exported.observations) < MAX_DIFFERENCE


def test_the_difference_is_the_largest_of_all_actions_relative_to_their_size(exports):
    gru = exports("gru")
    with torch.no_grad():
        (changed := deepcopy(gru.policy)).actor[-1].weight.zero_()
        changed.actor[-1].bias.copy_(torch.tensor([3.0, 4.0]))
    (action, *memories) = differences(changed, gru.onnx_path, gru.observations)
    assert (action.name, action.unit) == ("push", "")
    assert action.size == pytest.approx(12.5**0.5)
    policy, memory, largest = gru.policy.deployed(), gru.policy.initial_memory(20), 0.0
    for step in gru.observations:
        acted = policy.act(step, memory, deterministic=True)
        memory = acted.memory
        apart = (acted.action - torch.tensor([3.0, 4.0])).abs() / (12.5**0.5 + torch.tensor([3.0, 4.0]))
        largest = max(largest, apart.max().item())
    assert action.relative == pytest.approx(largest, rel=1e-4)
    assert check_parity(changed, gru.onnx_path, gru.observations) == action.relative
    assert all(memory.relative < MAX_DIFFERENCE for memory in memories)


def with_actions_of(size: float, kind: str = "mlp") -> GaussianPolicy:
    policy = fresh_policy(kind)
    with torch.no_grad():
        for values in policy.actor[-1].parameters():
            values.mul_(size)
    return policy


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e3, 1e6])
def test_actions_of_any_size_are_exported_and_refused_when_they_are_wrong_by_half(tmp_path, size: float):
    policy, observations = with_actions_of(size), random_observations(TOY)
    path = export_policy(policy, tmp_path / "export", describe(TOY), observations)
    with pytest.raises(UserError, match=r"differs from the policy by up to 0\.\d+ of the size of 'push', typically "):
        require_parity(with_actions_of(1.5 * size), path, observations)


def test_joint_positions_are_compared_in_radians(tmp_path):
    """An error of the same size in the action is a hundred times as large in the joint with the larger scale."""
    joints = {"name": "joint_pos", "dim": 2, "joints": ["a", "b"], "scale": [0.01, 1.0], "offset": [0.0, 0.0]}
    described = {key: [1.0, 1.0] for key in ("default_pos", "stiffness", "damping", "armature", "effort_limit")}
    contract = replace(TOY, actions=(joints,), joints={"names": ["a", "b"], **described})
    policy, observations = with_actions_of(1.0), random_observations(TOY)
    path = export_policy(policy, tmp_path / "export", describe(contract), observations)
    found = []
    for joint in (0, 1):
        with torch.no_grad():
            (changed := deepcopy(policy)).actor[-1].bias[joint] += 1e-4
        found += [one for one in differences(changed, path, observations) if one.name == "joint_pos"]
    assert [one.unit for one in found] == ["rad", "rad"]
    assert found[0].relative < MAX_DIFFERENCE / 5 < MAX_DIFFERENCE * 0.8 < found[1].relative
    with torch.no_grad():
        (changed := deepcopy(policy)).actor[-1].bias += 0.1
    with pytest.raises(UserError, match=r"of the size of 'joint_pos', typically \d\.\d+ rad; accepted: 5e-05"):
        require_parity(changed, path, observations)


def test_a_policy_that_never_acts_equals_its_graph(tmp_path):
    policy, observations = with_actions_of(0.0), random_observations(TOY)
    path = export_policy(policy, tmp_path / "export", describe(TOY), observations)
    assert check_parity(policy, path, observations) == 0.0
    assert check_parity(with_actions_of(1e-12), path, observations) > 0.1


@pytest.mark.slow
def test_changed_weights_are_refused_with_the_difference(exports, tmp_path):
    rma = exports("rma")
    path = with_changed_weights(rma.folder, tmp_path / "changed", "policy.history_encoder.latent.0.weight", 0.01)
    with pytest.raises(UserError, match=r"'policy\.onnx' differs from the policy by up to \d.*; accepted: 5e-05"):
        require_parity(rma.policy, path, rma.observations)


@pytest.mark.slow
def test_memory_is_carried_from_step_to_step(exports, tmp_path):
    lstm = exports("lstm")
    path = with_changed_weights(lstm.folder, tmp_path / "changed", "policy.memory.cell.weight_hh", 0.01)
    assert check_parity(lstm.policy, path, lstm.observations[:1]) < MAX_DIFFERENCE
    assert check_parity(lstm.policy, path, lstm.observations[:2]) > MAX_DIFFERENCE


def test_what_is_not_a_number_does_not_pass(exports):
    gru = exports("gru")
    observations = [{"policy": torch.full((3, 42), torch.nan)}]
    with pytest.raises(UserError, match="by up to nan"):
        require_parity(gru.policy, gru.onnx_path, observations)


@pytest.mark.parametrize("rows", [1, 7])
def test_any_number_of_rows_will_do(exported, rows: int):
    observations = [{group: values[:rows] for group, values in step.items()} for step in exported.observations]
    assert require_parity(exported.policy, exported.onnx_path, observations) < MAX_DIFFERENCE


WITHOUT_THIS_PACKAGE = """
import json, sys
sys.modules.update(dict.fromkeys(("rlmpc", "torch", "lightning", "onnx")))
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
told = {key: json.loads(value) for key, value in session.get_modelmeta().custom_metadata_map.items()}
feed = {entry["name"]: np.full((1, entry["shape"][1]), 0.5, np.float32) for entry in told["inputs"]}
names = [entry["name"] for entry in told["outputs"]]
for _ in range(2):
    found = dict(zip(names, session.run(names, feed)))
    feed |= {name.removeprefix("next_"): values for name, values in found.items() if name != "action"}
print(json.dumps(found["action"][0].tolist()))
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["rma", "lstm"])
def test_the_graph_alone_is_enough_where_this_package_is_not_installed(exports, tmp_path, kind: str):
    exported = exports(kind)
    command = [sys.executable, "-c", WITHOUT_THIS_PACKAGE, str(exported.onnx_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    policy = exported.policy.deployed()
    obs = {"policy": torch.full((1, 42), 0.5)}
    memory = {name: torch.full_like(values, 0.5) for name, values in policy.initial_memory(1).items()}
    with torch.no_grad():
        first = policy.act(obs, memory, deterministic=True)
        second = policy.act(obs, first.memory, deterministic=True)
    assert json.loads(result.stdout) == pytest.approx(second.action[0].tolist(), abs=1e-5)


def test_the_graph_needs_only_standard_operators(exported):
    assert {opset.domain for opset in onnx.load(exported.onnx_path).opset_import} == {""}
