"""Reads an exported policy: the ONNX graph and the JSON file that describes its inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import onnxruntime
from pydantic import Field

from rlmpc.contract.actuation import Joints
from rlmpc.contract.contract import Contract
from rlmpc.contract.schema import Name, Range, Text, Whole, Width, checked, closed, misfit, shown
from rlmpc.errors import UserError
from rlmpc.export.files import open_graph, read_json

DEPLOYMENT_FORMAT = 2
"""Version of the JSON file that this code reads."""

STATE = "state."
NEXT_STATE = "next_state."
"""Inputs `state.<name>` are memories: the outputs `next_state.<name>` of the previous step, zeros at first."""

ACTION = "action"

Shapes = dict[str, int]
"""Width of every input or output, by name; each is (N, width)."""


@closed
@dataclass(frozen=True)
class Port:
    """One input or output of the graph."""

    name: Name
    shape: tuple[Literal["N"], Width]


@closed
@dataclass(frozen=True)
class Description:
    """The JSON file of an exported policy."""

    format: Whole
    task: Name
    algorithm: Name
    iteration: Whole
    checkpoint_sha256: Text | None
    contract: Annotated[dict[str, Any], Field(strict=True)]
    inputs: list[Port]
    outputs: list[Port]
    command_ranges: dict[Name, Range] | None
    versions: dict[Name, Text] = field(default_factory=dict)
    manual: Annotated[dict[str, Any], Field(strict=True)] = field(default_factory=dict)
    """For people: what `rlmpc.export.manual` says. Older exports have none."""


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
    described = _description(json_path)
    contract = read_contract(described.contract, json_path, "contract")
    inputs, outputs = (_widths(json_path, key, getattr(described, key)) for key in ("inputs", "outputs"))
    session = open_graph(onnx_path, inputs, outputs, json_path)
    _check_widths(contract, inputs, outputs, json_path)
    ranges = described.command_ranges
    return Deployment(
        onnx_path,
        described.task,
        described.algorithm,
        described.iteration,
        contract,
        inputs,
        outputs,
        None if ranges is None else {axis: (low, high) for axis, (low, high) in ranges.items()},
        session,
    )


def read_contract(data: Any, path: Path, field: str) -> Contract:
    """Read a contract that MuJoCo can follow: one that says all of its robot's joints.

    Args:
        data: what `Contract.to_dict` gave.
        path: the file with the contract.
        field: where in the file it lies, dotted.

    Raises:
        UserError: if the contract does not pass, with the reason.
    """
    contract = Contract.from_dict(data, path, field)
    if contract.joints and (missing := Joints.__annotations__.keys() - contract.joints.keys()):
        raise UserError(f"'{path}' lacks '{field}.joints.{min(missing)}'; it is damaged or was changed")
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


def _description(path: Path) -> Description:
    data = read_json(path)
    if not isinstance(data, dict) or "contract" not in data:
        raise UserError(f"'{path}' does not describe an exported policy: it has no 'contract'")
    if type(data.get("format")) is not int or data["format"] != DEPLOYMENT_FORMAT:
        raise UserError(
            f"'{path}' has format {shown(data.get('format'))}; this version reads format {DEPLOYMENT_FORMAT}"
        )
    return checked(Description, data, path)


def _widths(path: Path, field: str, ports: list[Port]) -> Shapes:
    widths = {port.name: port.shape[1] for port in ports}
    if not ports or len(widths) < len(ports):
        raise misfit(path, field, [port.name for port in ports], "input should have names, each once")
    return widths


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
