"""Compares an exported graph with its policy, on observations from the policy's own world."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from rlmpc.errors import UserError
from rlmpc.export.deployment import ACTION, NEXT_STATE, STATE, load_deployment
from rlmpc.networks.policy import GaussianPolicy, Obs

MAX_DIFFERENCE = 1e-5
"""Largest difference of actions and memories, in their own units, that still counts as equal in single precision."""


@torch.no_grad()
def check_parity(policy: GaussianPolicy, onnx_path: Path, observations: Sequence[Obs]) -> float:
    """Measure the largest difference of actions and memories between a policy, on the CPU, and its exported graph.

    Both see the same sequence, and each keeps its own memory from the first step to the last, even if an episode ended
    in between, so differences add up for longer than they could on a robot.

    Args:
        policy: the policy; it is not changed.
        onnx_path: its graph, with the JSON file beside it.
        observations: at least the acting groups, (N, D_g) each, for every step.

    Returns:
        The absolute difference; not finite if policy or graph give a number that is not.

    Raises:
        UserError: if the files cannot be read or do not belong together.
    """
    deployment = load_deployment(onnx_path)
    policy = policy.deployed()
    memory = policy.initial_memory(next(iter(observations[0].values())).shape[0])
    state = {STATE + name: memory[name].numpy() for name in deployment.memories}
    outputs = [ACTION, *(NEXT_STATE + name for name in deployment.memories)]
    differences: list[Tensor] = []
    for step in observations:
        obs = {group: step[group].cpu() for group in policy.acting_groups}
        acted = policy.act(obs, memory, deterministic=True)
        memory = acted.memory
        found = deployment.session.run(outputs, {group: values.numpy() for group, values in obs.items()} | state)
        state = dict(zip(state, found[1:], strict=True))
        expected = [acted.action, *(memory[name] for name in deployment.memories)]
        differences += [(torch.as_tensor(a) - b).abs().max() for a, b in zip(found, expected, strict=True)]
    return float(torch.stack(differences).max())


def require_parity(policy: GaussianPolicy, onnx_path: Path, observations: Sequence[Obs]) -> float:
    """Run `check_parity` and refuse a difference above `MAX_DIFFERENCE`, or one that is not finite.

    Raises:
        UserError: if the difference is too large, or as `check_parity`.
    """
    difference = check_parity(policy, onnx_path, observations)
    if not difference <= MAX_DIFFERENCE:
        raise UserError(
            f"the exported '{onnx_path.name}' differs from the policy by up to {difference:.3g}; "
            f"accepted: {MAX_DIFFERENCE:g}"
        )
    return difference
