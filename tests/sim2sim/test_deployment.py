"""Reading exported policies."""

from __future__ import annotations

import json

import pytest

from rlmpc.errors import UserError
from rlmpc.export.deployment import load_deployment


def edit(folder, change) -> None:
    """Change the JSON file of an exported policy."""
    path = folder / "policy.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


@pytest.mark.parametrize("name", ["", "policy.onnx", "policy.json"])
def test_either_file_and_their_folder_name_the_same_policy(export, name: str):
    deployment = load_deployment(export() / name)
    assert (deployment.task, deployment.algorithm, deployment.iteration) == ("blind_rl", "ppo", 7)
    assert deployment.path.name == "policy.onnx"
    assert deployment.groups == ("policy",)
    assert deployment.inputs == {"policy": 779}
    assert deployment.contract.num_actions == 30
    assert deployment.command_ranges == {
        "lin_vel_x": (-0.5, 1.0),
        "lin_vel_y": (-0.5, 0.5),
        "ang_vel_z": (-2.0, 2.0),
    }


def test_memories_are_told_from_observation_groups(export, counting):
    deployment = load_deployment(export(counting))
    assert deployment.groups == ("policy",)
    assert deployment.memories == ("h",)


def test_untold_command_ranges_are_none(export):
    assert load_deployment(export(command_ranges=None)).command_ranges is None


def test_missing_files_are_named(export, tmp_path):
    with pytest.raises(UserError, match=r"policy\.onnx' does not exist"):
        load_deployment(tmp_path)
    folder = export()
    (folder / "policy.json").unlink()
    with pytest.raises(UserError, match=r"policy\.json' does not exist"):
        load_deployment(folder)
    with pytest.raises(UserError, match=r"last\.ckpt' is not an exported policy; accepted: a \.onnx file"):
        load_deployment(tmp_path / "last.ckpt")


@pytest.mark.parametrize("name", ["policy.onnx", "policy.json"])
@pytest.mark.parametrize("kept", [0, 100])
def test_truncated_files_are_refused(export, name: str, kept: int):
    path = export() / name
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match=rf"{name}' is not .*or not all of it"):
        load_deployment(path)


def test_json_of_something_else_is_refused(export):
    folder = export()
    (folder / "policy.json").write_text("[1, 2]")
    with pytest.raises(UserError, match="has no 'contract'"):
        load_deployment(folder)


def test_another_format_is_refused(export):
    with pytest.raises(UserError, match="has format 1; this version reads format 2"):
        load_deployment(export(format=1))


@pytest.mark.parametrize("key", ["inputs", "outputs", "command_ranges", "task"])
def test_a_missing_entry_is_named(export, key: str):
    folder = export()
    edit(folder, lambda data: data.pop(key))
    with pytest.raises(UserError, match=f"policy.json' lacks '{key}'"):
        load_deployment(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["joints"]["damping"].pop(), r"29 entries are needed, but there are \{'damping': 28\}"),
        (lambda c: c["actions"][0]["scale"].pop(), r"29 entries are needed, but there are \{'scale': 28\}"),
        (
            lambda c: c["actions"][0]["joints"].__setitem__(0, "tail"),
            r"'contract\.actions' is \['tail'\]",
        ),
        (lambda c: c["actions"][0].pop("offset"), r"lacks 'contract\.actions\.0\.offset'"),
        (
            lambda c: c["observations"]["policy"][2].update(scale=[1.0, 2.0]),
            "should have 3 entries",
        ),
        (lambda c: c["world"].pop("max_tilt_rad"), r"lacks 'contract\.world\.max_tilt_rad'"),
        (lambda c: c["world"]["terrain"].pop("num_levels"), r"lacks 'contract\.world\.terrain\.num_levels'"),
        (lambda c: c["world"].update(num_substeps=0), r"'contract\.world\.num_substeps' is 0"),
        (
            lambda c: c["observations"]["policy"][0].update(colour="red"),
            "policy.0.colour', which",
        ),
    ],
)
def test_a_contract_that_does_not_fit_together_is_refused(export, change, message: str):
    folder = export()
    edit(folder, lambda data: change(data["contract"]))
    with pytest.raises(UserError, match=rf"policy\.json' .*{message}"):
        load_deployment(folder)


def test_a_graph_that_is_not_the_one_described_is_refused(export):
    with pytest.raises(UserError, match=r"inputs of the graph in .* are \{'policy': 779\}.*says \{'scan': 779\}"):
        load_deployment(export(inputs=[{"name": "scan", "shape": ["N", 779]}]))
    with pytest.raises(UserError, match=r"outputs of the graph in .* are \{'action': 30\}.*says \{'action': 29\}"):
        load_deployment(export(outputs=[{"name": "action", "shape": ["N", 29]}]))


def test_a_contract_that_does_not_fit_the_inputs_is_refused(export):
    folder = export()
    edit(folder, lambda data: data["contract"]["observations"]["policy"].pop())
    with pytest.raises(UserError, match=r"input 'policy' \(779\) is none of the contract's groups \{'policy': 775"):
        load_deployment(folder)
    folder = export()
    edit(folder, lambda data: data["contract"]["actions"].pop())
    with pytest.raises(UserError, match="output 'action' has width 30, the actions 29"):
        load_deployment(folder)
