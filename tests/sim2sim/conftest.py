"""A contract like that of `blind_rl`, and exported policies small enough to know what they answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from rlmpc.contract.contract import Contract
from rlmpc.robots.g1.description import load_description
from rlmpc.sim2sim.simulation import Simulation

NUM_ACTIONS = 30


def term(name: str, dim: int, history: int = 1, scale: Any = 1.0, clip: list[float] | None = None) -> dict[str, Any]:
    return {"name": name, "dim": dim, "history": history, "scale": scale, "clip": clip}


def g1_joints() -> dict[str, Any]:
    robot = load_description()
    drives = [robot.actuator_by_joint[name] for name in robot.joint_names]
    fields = ("stiffness", "damping", "armature", "effort_limit")
    return {
        "names": list(robot.joint_names),
        "default_pos": [robot.default_joint_pos[name] for name in robot.joint_names],
        **{field: [getattr(drive, field) for drive in drives] for field in fields},
    }


@pytest.fixture
def contract_data() -> dict[str, Any]:
    """The contract as plain data, for a test to change."""
    robot, joints = load_description(), g1_joints()
    sensed = [
        term("joint_pos", 29, 10),
        term("joint_vel", 29, 10, 0.05),
        term("base_ang_vel", 3, 5, 0.2),
        term("projected_gravity", 3, 5),
        term("velocity_command", 3, 5),
        term("last_action", 30, 5),
        term("gait_phase", 4),
    ]
    joint_pos = {
        "name": "joint_pos",
        "dim": 29,
        "joints": list(robot.joint_names),
        "scale": [robot.action_scale[name] for name in robot.joint_names],
        "offset": joints["default_pos"],
    }
    gait_cycle = {
        "name": "gait_cycle",
        "dim": 1,
        "offset_s": 0.5,
        "scale_s": 0.25,
        "period_range_s": [0.3, 2.0],
        "leg_offsets": [0.0, 0.5],
    }
    observations = {"policy": sensed, "critic": [term("base_lin_vel", 3), *sensed]}
    return {"control_dt": 0.02, "observations": observations, "actions": [joint_pos, gait_cycle], "joints": joints}


@pytest.fixture
def contract(contract_data) -> Contract:
    return Contract.from_dict(contract_data)


@pytest.fixture
def simulation(contract) -> Simulation:
    """A robot on flat ground at the start of an episode, commanded (0.5, -0.1, 0.3)."""
    simulation = Simulation(contract, "flat", 0)
    simulation.reset(np.random.default_rng(0), (0.5, -0.1, 0.3))
    return simulation


def still_graph(width: int) -> onnx.ModelProto:
    """Answers zeros, whatever it sees."""
    zeros = numpy_helper.from_array(np.zeros((width, NUM_ACTIONS), np.float32), "zeros")
    node = helper.make_node("MatMul", ["policy", "zeros"], ["action"])
    return _model([node], {"policy": width}, {"action": NUM_ACTIONS}, [zeros])


def counting_graph(width: int) -> onnx.ModelProto:
    """Answers how many steps it has seen before, which it keeps in a memory."""
    one = numpy_helper.from_array(np.ones((1, NUM_ACTIONS), np.float32), "one")
    nothing = numpy_helper.from_array(np.zeros((width, NUM_ACTIONS), np.float32), "nothing")
    nodes = [
        helper.make_node("MatMul", ["policy", "nothing"], ["silence"]),
        helper.make_node("Add", ["silence", "state.h"], ["action"]),
        helper.make_node("Add", ["state.h", "one"], ["next_state.h"]),
    ]
    inputs, outputs = {"policy": width, "state.h": NUM_ACTIONS}, {"action": NUM_ACTIONS, "next_state.h": NUM_ACTIONS}
    return _model(nodes, inputs, outputs, [one, nothing])


def _model(nodes: list, inputs: dict[str, int], outputs: dict[str, int], constants: list) -> onnx.ModelProto:
    def infos(widths: dict[str, int]) -> list:
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width]) for name, width in widths.items()]

    graph = helper.make_graph(nodes, "policy", infos(inputs), infos(outputs), constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


@pytest.fixture
def export(tmp_path, contract_data) -> Callable[..., Path]:
    """Writes an exported policy of a graph and gives its folder; the JSON file says what the graph says."""

    def write(graph: Callable[[int], onnx.ModelProto] = still_graph, **changes: Any) -> Path:
        data = changes.pop("contract", contract_data)
        width = sum(entry["dim"] * entry["history"] for entry in data["observations"]["policy"])
        model = graph(width)
        sides = {"inputs": model.graph.input, "outputs": model.graph.output}
        shapes = {
            side: [{"name": v.name, "shape": ["N", v.type.tensor_type.shape.dim[1].dim_value]} for v in values]
            for side, values in sides.items()
        }
        ranges = {"lin_vel_x": [-0.5, 1.0], "lin_vel_y": [-0.5, 0.5], "ang_vel_z": [-2.0, 2.0]}
        about = {"format": 1, "task": "blind_rl", "algorithm": "ppo", "iteration": 7, "checkpoint_sha256": "0"}
        described = about | {"contract": data, "command_ranges": ranges} | shapes | changes
        folder = tmp_path / "exported"
        folder.mkdir(exist_ok=True)
        onnx.save(model, str(folder / "policy.onnx"))
        (folder / "policy.json").write_text(json.dumps(described))
        return folder

    return write


@pytest.fixture
def counting() -> Callable[[int], onnx.ModelProto]:
    return counting_graph
