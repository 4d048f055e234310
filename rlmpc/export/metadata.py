"""The metadata written beside the graph: where the policy comes from, and what it and its world agree upon."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import rlmpc
from rlmpc.contract.contract import Contract
from rlmpc.contract.observations import ObsSchema
from rlmpc.export.deployment import ACTION, DEPLOYMENT_FORMAT, NEXT_STATE, STATE
from rlmpc.export.manual import manual
from rlmpc.networks.policy import GaussianPolicy

EXPORTERS = ("torch", "onnx", "onnxscript", "onnxruntime")


def metadata(policy: GaussianPolicy, description: Mapping[str, Any]) -> dict[str, Any]:
    """Return the contents of `policy.json`.

    Args:
        policy: as `GaussianPolicy.deployed` gives it.
        description: `task`, `algorithm`, `iteration`, `checkpoint_sha256` (or None), `contract` (a `Contract`) and
            `command_ranges`, lower and upper bound by axis [m/s, rad/s] (or None).
    """
    contract: Contract = description["contract"]
    groups = {group: contract.observations.groups[group] for group in policy.acting_groups}
    sensed = replace(contract, observations=ObsSchema(groups))
    memories = {name: values.shape[1] for name, values in policy.initial_memory(1).items()}
    return {
        "format": DEPLOYMENT_FORMAT,
        **{key: description[key] for key in ("task", "algorithm", "iteration", "checkpoint_sha256")},
        "contract": sensed.to_dict(),
        "inputs": _entries(sensed.observations.dims() | {STATE + name: width for name, width in memories.items()}),
        "outputs": _entries(
            {ACTION: contract.num_actions} | {NEXT_STATE + name: width for name, width in memories.items()}
        ),
        "command_ranges": description["command_ranges"],
        "manual": manual(sensed),
        "versions": {"rlmpc": rlmpc.__version__, "python": platform.python_version()}
        | {package: version(package) for package in EXPORTERS},
    }


def names(entries: list[dict[str, Any]]) -> list[str]:
    """Return the names of `inputs` or `outputs`, in order."""
    return [entry["name"] for entry in entries]


def _entries(widths: Mapping[str, int]) -> list[dict[str, Any]]:
    return [{"name": name, "shape": ["N", width]} for name, width in widths.items()]
