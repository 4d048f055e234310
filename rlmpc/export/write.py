"""The files of an exported policy: `policy.onnx`, `policy.json`, `policy.pt2`, and a README on how to run it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from rlmpc.errors import UserError
from rlmpc.export.metadata import metadata
from rlmpc.export.onnx import to_onnx, trace
from rlmpc.export.parity import require_parity
from rlmpc.export.readme import readme
from rlmpc.networks.policy import GaussianPolicy, Obs

ONNX_FILE, JSON_FILE, PT2_FILE, README_FILE = FILES = ("policy.onnx", "policy.json", "policy.pt2", "README.md")


def export_policy(
    policy: GaussianPolicy,
    folder: Path,
    description: Mapping[str, Any],
    observations: Sequence[Obs] | None = None,
) -> Path:
    """Write a policy for deployment; it acts without noise, on what a robot senses.

    `policy.onnx` holds normalizers, encoders, actor and weights; memories are inputs and outputs. `policy.json`
    describes inputs and outputs, and the graph's metadata hold the same. `policy.pt2` is the graph for torch: called
    with a dict of groups and a dict of memories, it returns the action and the next memories.

    The files get their names only once all are complete and compared, so a failure leaves none of them behind.

    Args:
        policy: the policy; it is not changed.
        folder: folder for the files; made if it does not exist.
        description: see `metadata`.
        observations: if given, the graph must act on them as the policy does; see `require_parity`.

    Returns:
        The path of the ONNX file.

    Raises:
        UserError: if one of the files exists (before anything is written), if they cannot be written, or if the graph
            differs from the policy.
    """
    for name in FILES:
        if (folder / name).exists():
            raise UserError(f"'{folder / name}' exists; an export never overwrites, give another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix=".export-") as staging:
            onnx_path = _write(policy.deployed(), Path(staging), description)
            if observations is not None:
                require_parity(policy, onnx_path, observations)
            for name in FILES:
                (Path(staging) / name).rename(folder / name)
    except OSError as error:
        raise UserError(f"a policy cannot be written to '{folder}': {error}") from error
    return folder / ONNX_FILE


def _write(policy: GaussianPolicy, folder: Path, description: Mapping[str, Any]) -> Path:
    """Write all files of a policy from `GaussianPolicy.deployed` and return the path of the ONNX file."""
    data = metadata(policy, description)
    text = json.dumps(data, indent=2) + "\n"
    with warnings.catch_warnings():
        # torch warns about its own deprecations during the export.
        warnings.simplefilter("ignore")
        program = trace(policy, description["contract"].observations.dims())
        torch.export.save(program, folder / PT2_FILE, extra_files={JSON_FILE: text})
        graph = to_onnx(program, data)
    graph.save(folder / ONNX_FILE, external_data=False)
    (folder / JSON_FILE).write_text(text)
    (folder / README_FILE).write_text(readme(data))
    return folder / ONNX_FILE
