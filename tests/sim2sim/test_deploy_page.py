"""`docs/deploy.md`: its driver drives as the project does, and it explains every key of `policy.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from rlmpc.contract.contract import Contract
from rlmpc.contract.episode import Trial
from rlmpc.export.deployment import Description, load_deployment
from rlmpc.export.manual import manual
from rlmpc.sim2sim.observer import PLANNED, SENSORS
from rlmpc.sim2sim.walker import Walker
from tests.sim2sim.conftest import _model

PAGE = (Path(__file__).resolve().parents[2] / "docs/deploy.md").read_text()


def sensitive_graph(width: int, num_actions: int) -> onnx.ModelProto:
    """Answers a mixture of all that it sees and of a memory; some actions are beyond the clip."""
    rng = np.random.default_rng(0)
    arrays = {"mixture": rng.normal(0.0, 0.1, (width, num_actions)), "grown": np.full((1, num_actions), 0.02)}
    arrays["mixture"][:, 3] *= 1e4
    constants = [numpy_helper.from_array(values.astype(np.float32), name) for name, values in arrays.items()]
    nodes = [
        helper.make_node("MatMul", ["policy", "mixture"], ["mixed"]),
        helper.make_node("Add", ["mixed", "state.h"], ["action"]),
        helper.make_node("Add", ["state.h", "grown"], ["next_state.h"]),
    ]
    inputs, outputs = {"policy": width, "state.h": num_actions}, {"action": num_actions, "next_state.h": num_actions}
    return _model(nodes, inputs, outputs, constants)


@pytest.fixture
def exported(export, contract_data) -> Path:
    contract_data["observations"]["policy"][1]["clip"] = [-3.0, 3.0]
    return export(sensitive_graph, manual=manual(Contract.from_dict(contract_data)))


def test_the_driver_of_the_page_gives_the_targets_of_the_project(exported):
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    walker = Walker(load_deployment(exported), Trial("flat", 0, (0.5, -0.1, 0.3)))
    walker.start(np.random.default_rng(0))
    simulation = walker.simulation
    driver = names["Driver"](exported, start_phase=simulation.actions.clock.phase)
    own = {"last_action", "gait_phase", "height_scan", *PLANNED}
    for _ in range(20):
        sensed = {name: sense(simulation).copy() for name, sense in SENSORS.items() if name not in own}
        walker.step()
        np.testing.assert_allclose(driver.step(sensed), simulation.data.ctrl, atol=1e-5)
    assert np.abs(driver.action).max() == 100.0


def keys(data: Any) -> Iterator[str]:
    """Names of all entries in nested data that are not names of terms, joints, axes, packages or kinds of ground."""
    for key, value in data.items() if isinstance(data, dict) else ():
        yield key
        if key in ("observations", "terrain"):
            for terms in value.values():
                for term in terms if isinstance(terms, list) else ():
                    yield from keys(term)
        elif key not in ("command_ranges", "versions"):
            for entry in value if isinstance(value, list) else [value]:
                yield from keys(entry)


def test_every_key_of_policy_json_is_explained(exported):
    described = json.loads((exported / "policy.json").read_text())
    explained = set(re.findall(r"`([\w<>.]+)`", PAGE))
    assert {*keys(described), *Description.__dataclass_fields__} - explained == set()
