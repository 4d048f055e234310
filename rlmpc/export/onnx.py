"""The deterministic policy as a graph from observations and memory to action and next memory: traced, then as ONNX."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.onnx import ONNXProgram

from rlmpc.export.metadata import names
from rlmpc.networks.policy import GaussianPolicy, Memory, Obs

EXAMPLE_ROWS = 2
"""Rows of the traced observations; torch would treat a batch of 0 or 1 as fixed."""


class ActingGraph(nn.Module):
    """What a robot computes in each control step: `policy.act` without noise."""

    def __init__(self, policy: GaussianPolicy) -> None:
        super().__init__()
        self.policy = policy

    def forward(self, obs: Obs, memory: Memory) -> tuple[Tensor, dict[str, Tensor]]:
        """Return action (N, A) and next memory, in the order of `memory`, for groups (N, D_g) and memories (N, ...)."""
        acted = self.policy.act(obs, memory, deterministic=True)
        return acted.action, {name: acted.memory[name] for name in memory}


def trace(policy: GaussianPolicy, dims: Mapping[str, int]) -> ExportedProgram:
    """Trace the graph of a policy for any number of rows.

    Args:
        policy: as `GaussianPolicy.deployed` gives it.
        dims: width D_g of each of its acting groups.
    """
    obs = {group: torch.zeros(EXAMPLE_ROWS, dims[group]) for group in policy.acting_groups}
    memory = policy.initial_memory(EXAMPLE_ROWS)
    rows = Dim("N")
    shapes = ({group: {0: rows} for group in obs}, {name: {0: rows} for name in memory})
    with torch.no_grad():
        program = torch.export.export(ActingGraph(policy), (obs, memory), dynamic_shapes=shapes)
    for node in program.graph.nodes:
        # The stack trace names files of the exporting machine.
        node.meta.pop("stack_trace", None)
    return program


def to_onnx(program: ExportedProgram, data: Mapping[str, Any]) -> ONNXProgram:
    """Make the ONNX graph, with the names of inputs and outputs from `data` and with `data` as metadata."""
    graph = torch.onnx.export(
        program,
        input_names=names(data["inputs"]),
        output_names=names(data["outputs"]),
        dynamic_shapes=[{0: "N"} for _ in data["inputs"]],
        verbose=False,
    )
    assert graph is not None
    graph.model.graph.metadata_props.clear()
    for node in graph.model.graph.all_nodes():
        node.metadata_props.clear()
    graph.model.metadata_props.update({key: json.dumps(value) for key, value in data.items()})
    return graph
