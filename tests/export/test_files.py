"""Exported policies that were tampered with: graphs that read files, repeat without end, or take memory."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from rlmpc.errors import UserError
from rlmpc.export.files import OPERATORS, open_graph, read_json

WIDTH, NUM_ACTIONS = 4, 2


def number(name: str, value: Any, kind: Any = np.float32) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(value, kind), name)


def model(*nodes: onnx.NodeProto, weights: tuple[onnx.TensorProto, ...] = (), **options: Any) -> onnx.ModelProto:
    """A policy: `policy` (N, 4) in, `action` (N, 2) out."""
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width])
        for name, width in (("policy", WIDTH), ("action", NUM_ACTIONS))
    ]
    last = (
        ()
        if any("action" in node.output for node in nodes)
        else (helper.make_node("MatMul", ["policy", "w"], ["action"]),)
    )
    matrix = number("w", np.ones((WIDTH, NUM_ACTIONS)))
    graph = helper.make_graph([*nodes, *last], "policy", ports[:1], ports[1:], [matrix, *weights])
    opsets = [helper.make_opsetid("", 20), *options.pop("opsets", [])]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10, **options)


def opened(folder: Path, graph: onnx.ModelProto | bytes):
    path = folder / "policy.onnx"
    path.write_bytes(graph if isinstance(graph, bytes) else graph.SerializeToString())
    return open_graph(path, {"policy": WIDTH}, {"action": NUM_ACTIONS}, folder / "policy.json")


def test_a_policy_is_opened_and_acts(tmp_path: Path):
    assert "MatMul" in OPERATORS
    session = opened(tmp_path, model())
    assert session.run(None, {"policy": np.ones((3, WIDTH), np.float32)})[0].tolist() == [[4.0, 4.0]] * 3


def external() -> onnx.ModelProto:
    graph = model()
    weight = graph.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="../../etc/passwd")
    return graph


def loop() -> onnx.ModelProto:
    ports = [("i", TensorProto.INT64, []), ("c", TensorProto.BOOL, []), ("x", TensorProto.FLOAT, ["N", WIDTH])]
    inputs = [helper.make_tensor_value_info(*port) for port in ports]
    outputs = [helper.make_tensor_value_info(f"{name}2", kind, shape) for name, kind, shape in ports[1:]]
    nodes = [helper.make_node("Identity", [name], [f"{name}2"]) for name in "cx"]
    body = helper.make_graph(nodes, "body", inputs, outputs)
    forever = number("most", 2**62, np.int64)
    return model(helper.make_node("Loop", ["most", "", "policy"], ["y"], body=body), weights=(forever,))


def doubling() -> onnx.ModelProto:
    names = ["policy", *(f"x{i}" for i in range(40))]
    return model(*(helper.make_node("Concat", [a, a], [b], axis=1) for a, b in pairwise(names)))


def outer_product() -> onnx.ModelProto:
    column, row = number("column", np.ones((60_000, 1))), number("row", np.ones((1, 60_000)))
    return model(helper.make_node("Add", ["column", "row"], ["square"]), weights=(column, row))


def with_function() -> onnx.ModelProto:
    inner = [helper.make_node("Elu", ["a"], ["b"])]
    function = helper.make_function("ours", "Mine", ["a"], ["b"], inner, [helper.make_opsetid("", 20)])
    node = helper.make_node("Mine", ["policy"], ["z"], domain="ours")
    return model(node, functions=[function], opsets=[helper.make_opsetid("ours", 1)])


def with_weight(**said: Any) -> onnx.ModelProto:
    graph = model()
    for name, value in said.items():
        if name == "dims":
            graph.graph.initializer[0].dims[:] = value
        else:
            setattr(graph.graph.initializer[0], name, value)
    return graph


GRAPHS: dict[str, tuple[Callable[[], onnx.ModelProto], str]] = {
    "weights in another file": (external, "keeps 'w' in another file"),
    "a loop without end": (loop, "holds the operator 'Loop'"),
    "a constant of terabytes": (
        lambda: model(
            helper.make_node("ConstantOfShape", ["sizes"], ["big"]), weights=(number("sizes", [10**12], np.int64),)
        ),
        "holds the operator 'ConstantOfShape'",
    ),
    "widths that double": (doubling, "results of too many numbers"),
    "an outer product": (outer_product, "results of too many numbers"),
    "a function": (with_function, "holds functions"),
    "an operator of somebody else": (
        lambda: model(helper.make_node("Elu", ["policy"], ["z"], domain="com.microsoft")),
        "holds the operator 'Elu'",
    ),
    "sizes that its bytes do not hold": (lambda: with_weight(dims=[10**9, 10**9]), "damaged weight 'w'"),
    "a negative size": (lambda: with_weight(dims=[-1, 2]), "do not fit together"),
    "weights that are not finite": (
        lambda: with_weight(raw_data=np.full((WIDTH, NUM_ACTIONS), np.nan, np.float32).tobytes()),
        "a weight 'w' that is not of finite numbers",
    ),
    "weights of another type": (lambda: with_weight(data_type=TensorProto.STRING), "'w'"),
    "another width": (lambda: with_weight(dims=[2, 4]), "parts do not fit together"),
    "nothing": (onnx.ModelProto, "it has no nodes"),
}


@pytest.mark.parametrize("kind", GRAPHS)
def test_a_graph_that_no_policy_has_is_refused_at_once(tmp_path: Path, kind: str):
    make, sentence = GRAPHS[kind]
    graph, start = make(), time.process_time()
    with pytest.raises(UserError, match=sentence) as caught:
        opened(tmp_path, graph)
    assert time.process_time() - start < 5.0
    assert f"{tmp_path}/policy.onnx" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_whatever_bytes_a_graph_has_the_outcome_is_a_policy_or_one_sentence(tmp_path: Path):
    data, refused = model().SerializeToString(), 0
    for position in range(0, len(data), 2):
        damaged = bytearray(data)
        damaged[position] ^= 0x55
        try:
            opened(tmp_path, bytes(damaged))
        except UserError:
            refused += 1
    assert refused > 30


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"a": 1, "a": 2}', "names 'a' twice"),
        ('{"a": NaN}', "holds NaN"),
        ('{"a": -Infinity}', "holds -Infinity"),
        ("[" * 100_000, "is nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "not JSON"),
        ("\xff", "not JSON"),
        ("", "not JSON, or not all of it"),
    ],
)
def test_json_that_was_changed_is_refused(tmp_path: Path, text: str, sentence: str):
    path = tmp_path / "policy.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=sentence) as caught:
        read_json(path)
    assert f"'{path}'" in str(caught.value)


def test_a_file_of_gigabytes_is_not_read(tmp_path: Path):
    path = tmp_path / "policy.json"
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(UserError, match="has more than"):
        read_json(path)


def test_json_as_it_is_written_is_read(tmp_path: Path):
    path = tmp_path / "policy.json"
    path.write_text(json.dumps({"a": [1, 2.5, None, "x"]}))
    assert read_json(path) == {"a": [1, 2.5, None, "x"]}
