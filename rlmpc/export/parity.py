"""Compares an exported graph with its policy, on observations from the policy's own world."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from rlmpc.contract.contract import Contract
from rlmpc.errors import UserError
from rlmpc.export.deployment import ACTION, NEXT_STATE, STATE, Deployment, load_deployment
from rlmpc.networks.policy import GaussianPolicy, Obs

MAX_DIFFERENCE = 5e-5
"""Largest relative difference that still counts as equal in single precision.

Measured were up to 4e-6, in a policy with a GRU of 256 and layers of 512, 256 and 128 after 50 steps, whatever the size
of its actions.
"""


class Difference(NamedTuple):
    """How far apart a term of the actions, or a memory, of graph and policy are."""

    name: str
    relative: float
    """Largest difference of an entry, relative to its own size plus the typical size."""
    size: float
    """Typical size: the root mean square over all steps, rows and entries."""
    unit: str
    """Unit of the size; empty if the contract does not tell."""


@torch.no_grad()
def differences(policy: GaussianPolicy, onnx_path: Path, observations: Sequence[Obs]) -> list[Difference]:
    """Compare a policy, on the CPU, with its exported graph.

    Both see the same sequence, and each keeps its own memory from the first step to the last, even if an episode ended
    in between, so differences add up for longer than they could on a robot. Joint positions are compared in rad: their
    actions are multiplied by the contract's scale. A fixed tolerance would refuse large actions, in which single
    precision leaves more, and pass any error in small ones.

    Args:
        policy: the policy; it is not changed.
        onnx_path: its graph, with the JSON file beside it.
        observations: at least the acting groups, (N, D_g) each, for every step.

    Returns:
        The difference of every action term and every memory; not finite if policy or graph give a number that is not.

    Raises:
        UserError: if the files cannot be read or do not belong together.
    """
    deployment = load_deployment(onnx_path)
    policy = policy.deployed()
    memory = policy.initial_memory(next(iter(observations[0].values())).shape[0])
    state = {STATE + name: memory[name].numpy() for name in deployment.memories}
    outputs = [ACTION, *(NEXT_STATE + name for name in deployment.memories)]
    found: list[list[Tensor]] = []
    expected: list[list[Tensor]] = []
    for step in observations:
        obs = {group: step[group].cpu() for group in policy.acting_groups}
        acted = policy.act(obs, memory, deterministic=True)
        memory = acted.memory
        answer = deployment.session.run(outputs, {group: values.numpy() for group, values in obs.items()} | state)
        state = dict(zip(state, answer[1:], strict=True))
        found.append([torch.as_tensor(values) for values in answer])
        expected.append([acted.action, *(memory[name] for name in deployment.memories)])
    by_output = [[torch.stack(values).double() for values in zip(*side, strict=True)] for side in (found, expected)]
    return [
        _difference(name, a * scale, b * scale, unit)
        for output_found, output_expected, parts in zip(*by_output, _parts(deployment), strict=True)
        for name, columns, scale, unit in parts
        for a, b in [(output_found[..., columns], output_expected[..., columns])]
    ]


def check_parity(policy: GaussianPolicy, onnx_path: Path, observations: Sequence[Obs]) -> float:
    """Return the largest of all `differences`, relative; NaN if one of them is."""
    return _largest(differences(policy, onnx_path, observations)).relative


def require_parity(policy: GaussianPolicy, onnx_path: Path, observations: Sequence[Obs]) -> float:
    """Run `check_parity` and refuse a difference above `MAX_DIFFERENCE`, or one that is not finite.

    Raises:
        UserError: if the difference is too large, or as `differences`.
    """
    largest = _largest(differences(policy, onnx_path, observations))
    if not largest.relative <= MAX_DIFFERENCE:
        raise UserError(
            f"the exported '{onnx_path.name}' differs from the policy by up to {largest.relative:.3g} of the size of "
            f"'{largest.name}', typically {f'{largest.size:.3g} {largest.unit}'.strip()}; accepted: {MAX_DIFFERENCE:g}"
        )
    return largest.relative


def _parts(deployment: Deployment) -> Iterator[list[tuple[str, slice, Tensor, str]]]:
    """Yield name, columns, scale and unit of the parts of every output: the action's terms, then each memory."""
    yield list(_terms(deployment.contract))
    for name in deployment.memories:
        yield [(name, slice(None), torch.ones(()), "")]


def _terms(contract: Contract) -> Iterator[tuple[str, slice, Tensor, str]]:
    start = 0
    for term in contract.actions:
        is_position = term["name"] == "joint_pos" and "scale" in term
        scale = torch.tensor(term["scale"] if is_position else 1.0, dtype=torch.float64)
        yield term["name"], slice(start, start + term["dim"]), scale, "rad" if is_position else ""
        start += term["dim"]


def _difference(name: str, found: Tensor, expected: Tensor, unit: str) -> Difference:
    difference, size = (found - expected).abs(), expected.square().mean().sqrt()
    # Where both are the same, also where all is 0.
    relative = torch.where(difference == 0.0, 0.0, difference / (size + expected.abs()))
    return Difference(name, float(relative.max()), float(size), unit)


def _largest(found: Sequence[Difference]) -> Difference:
    """Return the largest difference; one that is not a number before all others."""
    return max(found, key=lambda one: float("inf") if one.relative != one.relative else one.relative)
