"""The files of an exported policy."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import onnx
import pytest
import torch

from rlmpc.contract.contract import Contract
from rlmpc.errors import UserError
from rlmpc.export import write
from rlmpc.export.deployment import load_deployment
from rlmpc.export.write import FILES, export_policy


def test_the_reader_of_deployed_policies_accepts_every_kind(exported):
    deployment = load_deployment(exported.folder)
    widths = {"state." + name: values.shape[1] for name, values in exported.policy.initial_memory(1).items()}
    group = exported.policy.deployed().acting_groups[0]
    assert deployment.inputs == {group: exported.contract.observations.dims()[group], **widths}
    assert deployment.outputs == {"action": exported.contract.num_actions} | {
        f"next_{name}": width for name, width in widths.items()
    }
    assert (deployment.task, deployment.algorithm, deployment.iteration) == ("toy", "ppo", 7)
    assert deployment.command_ranges == {"lin_vel_x": (-0.5, 1.0)}


@pytest.mark.slow
def test_the_json_file_says_where_the_policy_comes_from_and_what_it_senses(exports):
    rma = exports("rma")
    data = json.loads((rma.folder / "policy.json").read_text())
    assert (data["format"], data["checkpoint_sha256"]) == (2, "ab")
    assert data["versions"]["torch"] == torch.__version__.split("+")[0]
    contract = Contract.from_dict(data["contract"])
    assert contract.observations.groups == {"policy": rma.contract.observations.groups["policy"]}
    assert (contract.control_dt, contract.actions) == (0.05, rma.contract.actions)


def test_the_graphs_metadata_say_what_the_json_file_says(exported):
    metadata = {entry.key: json.loads(entry.value) for entry in onnx.load(exported.onnx_path).metadata_props}
    assert metadata == json.loads((exported.folder / "policy.json").read_text())


def test_the_graph_is_one_valid_file_whose_batch_axis_is_called_n(exported):
    assert sorted(path.name for path in exported.folder.iterdir()) == sorted(FILES)
    model = onnx.load(exported.onnx_path, load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    for value in (*model.graph.input, *model.graph.output):
        rows, width = value.type.tensor_type.shape.dim
        assert rows.dim_param == "N" and width.dim_value > 0, value.name


@pytest.mark.slow
def test_no_file_names_a_folder_of_the_machine_that_exported(exports):
    here = str(Path(write.__file__).parents[1]).encode()
    folder = exports("rma").folder
    with zipfile.ZipFile(folder / "policy.pt2") as archive:
        contents = [archive.read(name) for name in archive.namelist()]
    contents += [(folder / "policy.onnx").read_bytes(), (folder / "policy.json").read_bytes()]
    assert any(b"torch.ops.aten" in content for content in contents)
    assert not any(here in content for content in contents)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ppo", "rma", "lstm"])
def test_torch_runs_its_file_with_named_observations_and_memories(exports, kind: str):
    exported = exports(kind)
    program = torch.export.load(exported.folder / "policy.pt2").module()
    policy = exported.policy.deployed()
    obs = {group: exported.observations[0][group] for group in policy.acting_groups}
    memory = {name: values + 0.1 for name, values in policy.initial_memory(20).items()}
    with torch.no_grad():
        action, after = program(obs, memory)
        acted = policy.act(obs, memory, deterministic=True)
    torch.testing.assert_close(action, acted.action, atol=1e-5, rtol=0.0)
    assert after.keys() == memory.keys()
    for name, values in after.items():
        torch.testing.assert_close(values, acted.memory[name], atol=1e-5, rtol=0.0)


@pytest.mark.slow
def test_the_policy_is_left_as_it_was(exports, make_policy):
    policy = exports("rma").policy
    twin = make_policy("rma").state_dict()
    assert (policy.acts_on_history, policy.training) == (False, True)
    assert policy.state_dict().keys() == twin.keys()
    assert all(torch.equal(values, twin[name]) for name, values in policy.state_dict().items())


@pytest.mark.slow
def test_an_export_prints_nothing_and_draws_no_random_numbers(make_policy, description, tmp_path, capfd, recwarn):
    policy = make_policy("gru")
    before = torch.get_rng_state()
    export_policy(policy, tmp_path / "new" / "folder", description())
    assert torch.equal(before, torch.get_rng_state())
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


@pytest.mark.parametrize("name", FILES)
def test_an_existing_file_is_not_overwritten_and_nothing_is_written_beside_it(make_policy, description, tmp_path, name):
    (tmp_path / name).write_text("old")
    with pytest.raises(UserError, match=f"{name}' exists"):
        export_policy(make_policy("ppo"), tmp_path, description())
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "old")]


def test_a_place_that_cannot_be_written_is_refused(make_policy, description, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot be written to .*file/folder'"):
        export_policy(make_policy("ppo"), tmp_path / "file" / "folder", description())


@pytest.mark.slow
def test_a_graph_that_differs_from_the_policy_leaves_no_files(exports, description, tmp_path, monkeypatch):
    original = write._write

    def write_off_by_a_little(policy, *arguments):
        with torch.no_grad():
            policy.actor[-1].bias += 1e-4
        return original(policy, *arguments)

    gru = exports("gru")
    monkeypatch.setattr(write, "_write", write_off_by_a_little)
    with pytest.raises(
        UserError, match=r"'policy\.onnx' differs from the policy by up to 0\.000239 .*; accepted: 5e-05"
    ):
        export_policy(gru.policy, tmp_path, description(), gru.observations)
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_breaks_off_leaves_no_files(make_policy, description, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("no such operator")

    monkeypatch.setattr(write, "to_onnx", fail)
    with pytest.raises(RuntimeError, match="no such operator"):
        export_policy(make_policy("gru"), tmp_path, description())
    assert list(tmp_path.iterdir()) == []
