"""Reads an exported policy: the ONNX graph and the JSON file that describes its inputs and outputs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime

from rlmpc.contract.contract import Contract
from rlmpc.errors import UserError

DEPLOYMENT_FORMAT = 2
"""Version of the JSON file that this code reads."""

STATE = "state."
NEXT_STATE = "next_state."
"""Inputs `state.<name>` are memories: the outputs `next_state.<name>` of the previous step, zeros at first."""

ACTION = "action"

_MALFORMED = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""Errors raised on reading plain data of an unexpected form."""

Shapes = dict[str, int]
"""Width of every input or output, by name; each is (N, width)."""


@dataclass(frozen=True)
class Deployment:
    """An exported policy, checked."""

    path: Path
    """The ONNX file."""
    task: str
    algorithm: str
    iteration: int
    contract: Contract
    inputs: Shapes
    outputs: Shapes
    command_ranges: Mapping[str, tuple[float, float]] | None
    """Trained ranges of the velocity command [m/s, rad/s], by axis; None where unknown."""
    session: onnxruntime.InferenceSession

    @property
    def groups(self) -> tuple[str, ...]:
        """Observation groups that the policy reads."""
        return tuple(name for name in self.inputs if not name.startswith(STATE))

    @property
    def memories(self) -> tuple[str, ...]:
        """Names of the memories, without prefix."""
        return tuple(name.removeprefix(STATE) for name in self.inputs if name.startswith(STATE))


def load_deployment(path: Path) -> Deployment:
    """Read and check an exported policy.

    Args:
        path: the ONNX file, the JSON file beside it, or the folder of `policy.onnx` and `policy.json`.

    Raises:
        UserError: if a file is missing, truncated or of another kind, or the two do not belong together.
    """
    onnx_path, json_path = _files(path)
    data = _read_json(json_path)
    contract = read_contract(data["contract"], json_path)
    try:
        inputs, outputs = _widths(data["inputs"]), _widths(data["outputs"])
        ranges = data["command_ranges"]
        ranges = ranges and {axis: (float(low), float(high)) for axis, (low, high) in ranges.items()}
        names = {key: data[key] for key in ("task", "algorithm", "iteration")}
    except _MALFORMED as error:
        raise UserError(f"'{json_path}' does not describe an exported policy: {_reason(error)}") from None
    session = _open_session(onnx_path)
    _check_graph(session, inputs, outputs, json_path)
    _check_widths(contract, inputs, outputs, json_path)
    return Deployment(
        onnx_path,
        **names,
        contract=contract,
        inputs=inputs,
        outputs=outputs,
        command_ranges=ranges,
        session=session,
    )


def read_contract(data: Any, path: Path) -> Contract:
    """Read a contract that MuJoCo can follow: complete, and with lists that fit together.

    Args:
        data: what `Contract.to_dict` gave.
        path: the file with the contract.

    Raises:
        UserError: if the contract does not pass, with the reason.
    """
    try:
        contract = Contract.from_dict(data)
        _check_contract(contract)
    except _MALFORMED as error:
        raise UserError(f"the contract in '{path}' does not fit together: {_reason(error)}") from None
    return contract


def _files(path: Path) -> tuple[Path, Path]:
    """Return the ONNX file and its JSON file."""
    if path.is_dir():
        path = path / "policy.onnx"
    if path.suffix not in (".onnx", ".json"):
        raise UserError(f"'{path}' is not an exported policy; accepted: a .onnx file, its .json file, or their folder")
    files = path.with_suffix(".onnx"), path.with_suffix(".json")
    for file in files:
        if not file.is_file():
            raise UserError(f"'{file}' does not exist; an exported policy is a .onnx file with a .json file beside it")
    return files


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"'{path}' is not JSON, or not all of it: {error}") from None
    if not isinstance(data, dict) or "contract" not in data:
        raise UserError(f"'{path}' does not describe an exported policy: it has no 'contract'")
    if data.get("format") != DEPLOYMENT_FORMAT:
        raise UserError(f"'{path}' has format {data.get('format')}; this version reads format {DEPLOYMENT_FORMAT}")
    return data


def _check_contract(contract: Contract) -> None:
    """Refuse lists that do not fit together; only what is read here is checked."""
    if not contract.control_dt > 0.0:
        raise ValueError(f"control_dt must be above 0, not {contract.control_dt}")
    if contract.world is not None:
        contract.world.check()
    joints = contract.joints
    _check_lengths(joints, len(joints.get("names", [])), joints)
    for group in contract.observations.groups.values():
        for term in group:
            _check_lengths({term.name: term.scale}, term.dim, [term.name] if isinstance(term.scale, list) else [])
    for term in contract.actions:
        if term["name"] == "joint_pos":
            _check_lengths(term, term["dim"], ("joints", "scale", "offset"))
            if foreign := set(term["joints"]) - set(joints["names"]):
                raise ValueError(f"actions move joints that are not listed: {sorted(foreign)}")


def _check_lengths(lists: Mapping[str, Any], length: int, keys: Iterable[str]) -> None:
    if wrong := {key: len(lists[key]) for key in keys if len(lists[key]) != length}:
        raise ValueError(f"lists of {length} entries are needed, but there are {wrong}")


def _widths(entries: list[dict[str, Any]]) -> Shapes:
    return {entry["name"]: int(entry["shape"][1]) for entry in entries}


def _reason(error: Exception) -> str:
    return f"it has no {error}" if isinstance(error, KeyError) else str(error)


def _open_session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # For one observation at a time, threads would cost more than they gain.
    options.intra_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no narrower common class
        raise UserError(f"'{path}' is not an ONNX graph, or not all of it: {error}") from None


def _check_graph(session: onnxruntime.InferenceSession, inputs: Shapes, outputs: Shapes, json_path: Path) -> None:
    """Refuse a graph whose inputs or outputs differ from the JSON file."""
    for kind, told, found in (
        ("inputs", inputs, session.get_inputs()),
        ("outputs", outputs, session.get_outputs()),
    ):
        # torch leaves the width of some outputs open: a name in place of the number stands for any width.
        actual = {arg.name: arg.shape[-1] if arg.shape else None for arg in found}
        fits = told.keys() == actual.keys() and all(
            not isinstance(width, int) or width == told[name] for name, width in actual.items()
        )
        if not fits:
            raise UserError(f"the {kind} of the graph are {actual}, but '{json_path}' says {told}")


def _check_widths(contract: Contract, inputs: Shapes, outputs: Shapes, json_path: Path) -> None:
    """Refuse a JSON file that contradicts itself."""
    dims = contract.observations.dims()
    for name, width in inputs.items():
        if name.startswith(STATE):
            if outputs.get(NEXT_STATE + name.removeprefix(STATE)) != width:
                raise UserError(f"'{json_path}': input '{name}' ({width}) has no output that feeds it")
        elif dims.get(name) != width:
            raise UserError(f"'{json_path}': input '{name}' ({width}) is none of the contract's groups {dims}")
    if outputs.get(ACTION) != contract.num_actions:
        raise UserError(
            f"'{json_path}': output '{ACTION}' has width {outputs.get(ACTION)}, the actions {contract.num_actions}"
        )
