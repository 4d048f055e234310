"""A contract like that of `blind_rl`, and exported policies small enough to know what they answer."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from rlmpc.contract.contract import Contract
from rlmpc.robots.g1.config import G1
from rlmpc.robots.robot import Robot
from rlmpc.sim2sim.simulation import Simulation


def term(name: str, dim: int, history: int = 1, scale: Any = 1.0, clip: list[float] | None = None) -> dict[str, Any]:
    return {"name": name, "dim": dim, "history": history, "scale": scale, "clip": clip}


def joints_of(robot: Robot) -> dict[str, Any]:
    robot = robot.description
    drives = [robot.actuator_by_joint[name] for name in robot.joint_names]
    fields = ("stiffness", "damping", "armature", "effort_limit")
    return {
        "names": list(robot.joint_names),
        "default_pos": [robot.default_joint_pos[name] for name in robot.joint_names],
        **{field: [getattr(drive, field) for drive in drives] for field in fields},
    }


def stairs(shape: str, platform_width: float) -> dict[str, Any]:
    numbers = {"step_height_range": [0.01, 0.17], "step_width": 0.3, "border_width": 0.0, "holes": False}
    return {"shape": shape, "platform_width": platform_width, **numbers}


WORLD = {
    "num_substeps": 4,
    "gravity": [0.0, 0.0, -9.81],
    "integrator": "implicitfast",
    "cone": "pyramidal",
    "impratio": 1.0,
    "contact_stiffness": 1.6e5,
    "contact_damping": 1100.0,
    "heading_noise_rad": math.radians(10.0),
    "max_start_velocity": 0.1,
    "episode_length_s": 12.0,
    "max_tilt_rad": 0.8,
    "min_height_m": -5.0,
    "terrain": {
        "kinds": {
            "stairs_up": stairs("inverted_pyramid_stairs_terrain", 1.5),
            "stairs_down": stairs("pyramid_stairs_terrain", 1.25),
            "random_boxes": {"shape": "random_grid_terrain", "grid_width": 0.75},
        },
        "num_levels": 10,
        "difficulty_range": [0.0, 1.0],
        "tile_size_m": [8.0, 8.0],
        "border_width_m": 8.0,
    },
}


def contract_of(robot: Robot) -> dict[str, Any]:
    joints, num_joints = joints_of(robot), len(robot.description.joints)
    scanner = {"offset_m": [0.2, 0.0, 0.43], "size_m": [1.3, 0.4], "resolution_m": 0.05, "max_distance_m": 7.0}
    sensed = [
        term("joint_pos", num_joints, 10),
        term("joint_vel", num_joints, 10, 0.05),
        term("base_ang_vel", 3, 5, 0.2),
        term("projected_gravity", 3, 5),
        term("velocity_command", 3, 5),
        term("last_action", num_joints + 1, 5),
        term("gait_phase", 4),
    ]
    joint_pos = {
        "name": "joint_pos",
        "dim": num_joints,
        "joints": joints["names"],
        "scale": list(robot.description.action_scale.values()),
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
    agreed = {
        "control_dt": 0.02,
        "observations": observations,
        "actions": [joint_pos, gait_cycle],
        "joints": joints,
        "robot": robot.name,
        "action_limit": 100.0,
        "world": WORLD | {"height_scanner": {"body": robot.torso, **scanner}},
    }
    return json.loads(json.dumps(agreed))


@pytest.fixture
def contract_data() -> dict[str, Any]:
    """The contract as plain data, for a test to change."""
    return contract_of(G1)


@pytest.fixture
def controlled_data(contract_data) -> dict[str, Any]:
    """The contract of a policy that sets nine parameters of the predictive controller."""
    from rlmpc.mpc.robot import MpcRobot
    from rlmpc.mpc.settings import MpcSettings
    from rlmpc.mpc.walk_settings import WalkSettings

    model, walk, facts = MpcSettings(), WalkSettings(), MpcRobot.of(G1)
    settings = {f"{part}.{name}": v for part, of in (("model", model), ("walk", walk)) for name, v in vars(of).items()}
    action = {
        "name": "mpc",
        "dim": 9,
        "parameters": ["period", "swing_height", "swing_shape", *["linear_acc"] * 3, *["angular_acc"] * 3],
        "offset": [walk.period_s, walk.swing_height_m, *[0.0] * 7],
        "scale": [0.1, 0.03, 0.5, *[0.5] * 3, *[1.0] * 3],
        "low": [0.4, 0.02, -1.0, *[-3.0] * 3, *[-6.0] * 3],
        "high": [0.8, 0.2, 1.0, *[3.0] * 3, *[6.0] * 3],
        **settings,
    }
    planned = [term("planned_contacts", 20), term("mpc_parameters", 9), term("planned_wrench", 12)]
    sensed = [*planned, term("joint_pos", 29), term("last_action", 9), term("gait_phase", 4)]
    gains = {"stiffness": facts.stiffness.tolist(), "damping": facts.damping.tolist()}
    return contract_data | {
        "observations": {"policy": sensed},
        "actions": [action],
        "joints": contract_data["joints"] | gains,
    }


@pytest.fixture
def biped_contract(biped) -> Contract:
    """The contract of a policy of the second robot."""
    return Contract.from_dict(contract_of(biped))


@pytest.fixture
def contract(contract_data) -> Contract:
    return Contract.from_dict(contract_data)


@pytest.fixture
def simulation(contract) -> Simulation:
    """A robot on flat ground at the start of an episode, commanded (0.5, -0.1, 0.3)."""
    simulation = Simulation(contract, "flat", 0)
    simulation.reset(np.random.default_rng(0), (0.5, -0.1, 0.3))
    return simulation


def still_graph(width: int, num_actions: int) -> onnx.ModelProto:
    """Answers zeros, whatever it sees."""
    zeros = numpy_helper.from_array(np.zeros((width, num_actions), np.float32), "zeros")
    node = helper.make_node("MatMul", ["policy", "zeros"], ["action"])
    return _model([node], {"policy": width}, {"action": num_actions}, [zeros])


def senseless_graph(width: int, num_actions: int) -> onnx.ModelProto:
    """Answers numbers of which none is finite, as a policy that diverged does."""
    ratio = helper.make_node("Div", ["silence", "silence"], ["action"])
    silence = helper.make_node("MatMul", ["policy", "zeros"], ["silence"])
    zeros = numpy_helper.from_array(np.zeros((width, num_actions), np.float32), "zeros")
    return _model([silence, ratio], {"policy": width}, {"action": num_actions}, [zeros])


def counting_graph(width: int, num_actions: int) -> onnx.ModelProto:
    """Answers how many steps it has seen before, which it keeps in a memory."""
    one = numpy_helper.from_array(np.ones((1, num_actions), np.float32), "one")
    nothing = numpy_helper.from_array(np.zeros((width, num_actions), np.float32), "nothing")
    nodes = [
        helper.make_node("MatMul", ["policy", "nothing"], ["silence"]),
        helper.make_node("Add", ["silence", "state.h"], ["action"]),
        helper.make_node("Add", ["state.h", "one"], ["next_state.h"]),
    ]
    inputs, outputs = {"policy": width, "state.h": num_actions}, {"action": num_actions, "next_state.h": num_actions}
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

    def write(graph: Callable[[int, int], onnx.ModelProto] = still_graph, **changes: Any) -> Path:
        data = changes.pop("contract", contract_data)
        width = sum(entry["dim"] * entry["history"] for entry in data["observations"]["policy"])
        model = graph(width, sum(term["dim"] for term in data["actions"]))
        sides = {"inputs": model.graph.input, "outputs": model.graph.output}
        shapes = {
            side: [{"name": v.name, "shape": ["N", v.type.tensor_type.shape.dim[1].dim_value]} for v in values]
            for side, values in sides.items()
        }
        ranges = {"lin_vel_x": [-0.5, 1.0], "lin_vel_y": [-0.5, 0.5], "ang_vel_z": [-2.0, 2.0]}
        about = {"format": 2, "task": "blind_rl", "algorithm": "ppo", "iteration": 7, "checkpoint_sha256": "0"}
        described = about | {"contract": data, "command_ranges": ranges} | shapes | changes
        folder = tmp_path / "exported"
        folder.mkdir(exist_ok=True)
        onnx.save(model, str(folder / "policy.onnx"))
        (folder / "policy.json").write_text(json.dumps(described))
        return folder

    return write


@pytest.fixture
def counting() -> Callable[[int, int], onnx.ModelProto]:
    return counting_graph


@pytest.fixture
def senseless() -> Callable[[int, int], onnx.ModelProto]:
    return senseless_graph
