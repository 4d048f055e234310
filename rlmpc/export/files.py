"""Opens the two files of an exported policy, with bounds on what they may ask for."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnxruntime

from rlmpc.contract.schema import shown
from rlmpc.errors import UserError

if TYPE_CHECKING:
    import onnx

MAX_JSON_BYTES = 2**24
MAX_ONNX_BYTES = 2**29
MAX_NODES = 10_000
MAX_ELEMENTS = 2**26
"""Largest number of numbers that a graph may hold at once for one observation."""

OPERATORS = {
    *("Gemm", "MatMul", "Conv", "Add", "Sub", "Mul", "Div", "Clip"),
    *("Elu", "Relu", "Tanh", "Sigmoid"),
    *("Concat", "Split", "Slice", "Reshape", "Transpose"),
}
"""What the graphs of our policies consist of. None repeats, branches, or reads a file."""


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        UserError: if it cannot be read, is too large or nested too deeply, names a key twice, or holds a number that is
            not finite.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        entries = dict(pairs)
        if len(entries) < len(pairs):
            names = [name for name, _ in pairs]
            raise ValueError(f"it names {shown(next(name for name in names if names.count(name) > 1))} twice")
        return entries

    def refuse(number: str) -> None:
        raise ValueError(f"it holds {number}")

    try:
        text = read_bytes(path, MAX_JSON_BYTES).decode()
        return json.loads(text, object_pairs_hook=once, parse_constant=refuse)
    except RecursionError:
        raise UserError(f"'{path}' is nested too deeply") from None
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"'{path}' is not JSON, or not all of it: {error}") from None


def read_bytes(path: Path, most: int) -> bytes:
    """Return the content of a file.

    Raises:
        UserError: if it cannot be read or has more bytes than `most`.
    """
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise UserError(f"'{path}' cannot be read: {error.strerror}") from None
    if len(data) > most:
        raise UserError(f"'{path}' has more than {most} bytes, which no exported policy has")
    return data


def open_graph(
    path: Path, inputs: dict[str, int], outputs: dict[str, int], described_in: Path
) -> onnxruntime.InferenceSession:
    """Open an ONNX file for one observation at a time, once it is known what it will ask for.

    Args:
        path: the file.
        inputs: width of every input, by name.
        outputs: the same of every output.
        described_in: the file that says so.

    Raises:
        UserError: if it is no whole graph, is not the one described, or is made of other parts than our policies.
    """
    # The import takes a second; a wrong JSON file is reported before.
    import onnx

    data = read_bytes(path, MAX_ONNX_BYTES)
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's errors have no common class with onnx's
        raise UserError(f"'{path}' is not an ONNX graph, or not all of it: {_first_line(error)}") from None
    _check_parts(model, path)
    for kind, told, values in (("inputs", inputs, model.graph.input), ("outputs", outputs, model.graph.output)):
        _check_ports(kind, told, list(values), path, described_in)
    _check_sizes(model, path)
    options = onnxruntime.SessionOptions()
    # For one observation at a time, threads would cost more than they gain.
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no narrower common class
        raise UserError(f"'{path}' is not an ONNX graph, or not all of it: {_first_line(error)}") from None


def _check_parts(model: onnx.ModelProto, path: Path) -> None:
    """Refuse what no policy consists of: other operators, functions, graphs in graphs, weights in other files."""
    import numpy as np
    from onnx import TensorProto, numpy_helper

    graph = model.graph
    if not graph.node:
        raise UserError(f"'{path}' is not an ONNX graph, or not all of it: it has no nodes")
    if len(graph.node) > MAX_NODES:
        raise UserError(f"'{path}' has {len(graph.node)} nodes; accepted: {MAX_NODES}")
    if model.functions or graph.sparse_initializer or model.training_info:
        raise UserError(f"'{path}' holds functions, sparse weights or training steps, which no exported policy has")
    for node in graph.node:
        if node.domain or node.op_type not in OPERATORS:
            raise UserError(
                f"'{path}' holds the operator {shown(node.op_type)}, which no exported policy has; "
                f"accepted: {', '.join(sorted(OPERATORS))}"
            )
        if any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
            raise UserError(
                f"'{path}' holds a graph in the operator {shown(node.op_type)}, which no exported policy has"
            )
    for weight in graph.initializer:
        if weight.data_location == TensorProto.EXTERNAL or weight.external_data:
            raise UserError(f"'{path}' keeps {shown(weight.name)} in another file, which no exported policy does")
        try:
            values = numpy_helper.to_array(weight)
        except Exception as error:  # whatever numpy and onnx raise
            raise UserError(f"'{path}' holds a damaged weight {shown(weight.name)}: {_first_line(error)}") from None
        if values.dtype.kind not in "fi" or not np.isfinite(values).all():
            raise UserError(f"'{path}' holds a weight {shown(weight.name)} that is not of finite numbers")


def _check_ports(kind: str, told: dict[str, int], values: list[onnx.ValueInfoProto], path: Path, json: Path) -> None:
    """Refuse inputs or outputs that differ from the JSON file; then set their shapes for one observation."""
    from onnx import TensorProto

    actual: dict[str, Any] = {}
    for value in values:
        dims = value.type.tensor_type.shape.dim
        # torch leaves the width of some outputs open: a name in place of the number stands for any width.
        widths = [dim.dim_value if dim.HasField("dim_value") else (dim.dim_param or "?") for dim in dims]
        actual[value.name] = widths[-1] if len(widths) == 2 and not isinstance(widths[0], int) else widths
    fits = len(actual) == len(values) and told.keys() == actual.keys()
    fits = fits and all(
        value.type.tensor_type.elem_type == TensorProto.FLOAT
        and actual[value.name] in (told[value.name], *_open(value))
        for value in values
    )
    if not fits:
        raise UserError(f"the {kind} of the graph in '{path}' are {shown(actual)}, but '{json}' says {shown(told)}")
    for value in values:
        for dim, size in zip(value.type.tensor_type.shape.dim, (1, told[value.name]), strict=True):
            dim.dim_value = size


def _open(value: onnx.ValueInfoProto) -> list[str]:
    """Return the name of a width that is left open."""
    dim = value.type.tensor_type.shape.dim[-1]
    return [] if dim.HasField("dim_value") else [dim.dim_param or "?"]


def _check_sizes(model: onnx.ModelProto, path: Path) -> None:
    """Refuse a graph some of whose results have no known or too large a size."""
    from onnx import shape_inference

    del model.graph.value_info[:]
    try:
        inferred = shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True).graph
    except Exception as error:  # onnx's errors have no narrower common class
        raise UserError(f"'{path}' is a graph whose parts do not fit together: {_first_line(error)}") from None
    sizes = {
        value.name: prod(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        for value in (*inferred.value_info, *inferred.output)
        if all(dim.HasField("dim_value") for dim in value.type.tensor_type.shape.dim)
    }
    results = [name for node in inferred.node for name in node.output if name]
    unknown = [name for name in results if name not in sizes]
    if unknown or sum(sizes[name] for name in results) > MAX_ELEMENTS:
        reason = f"a result {shown(unknown[0])} of unknown size" if unknown else "results of too many numbers"
        raise UserError(f"'{path}' is a graph with {reason}; accepted: {MAX_ELEMENTS} numbers for one observation")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
