"""Reads policies for live play."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlmpc.algorithms.restore import restore_policy
from rlmpc.checkpoint.file import Checkpoint
from rlmpc.checkpoint.find import checkpoints_by_age
from rlmpc.contract.contract import Contract
from rlmpc.contract.live import Played
from rlmpc.envs.vec_env import Obs
from rlmpc.export.deployment import load_deployment, read_contract
from rlmpc.networks.policy import GaussianPolicy
from rlmpc.rollout.interaction import ActingPolicy, Memory
from rlmpc.sim2sim.policy import Policy


class CheckpointPolicy:
    """A checkpoint's policy on one robot, with arrays; acts as `rlmpc.sim2sim.policy.Policy` does."""

    estimated_velocity: np.ndarray | None = None
    """See `velocity_estimated_in`."""

    def __init__(self, policy: GaussianPolicy) -> None:
        self._policy = policy
        self.reset()

    def reset(self) -> None:
        """Empty the memory."""
        self._memory = self._policy.initial_memory(1)

    @torch.no_grad()
    def act(self, observations: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return raw actions (A,) for observation groups (D_g,)."""
        obs = {group: torch.from_numpy(values[None]) for group, values in observations.items()}
        acted = self._policy.act(obs, self._memory, deterministic=True)
        self._memory = acted.memory
        self.estimated_velocity = velocity_estimated_in(acted)
        return acted.action[0].numpy()


@dataclass
class ActedInTurn:
    """What several policies chose."""

    action: Tensor
    """(N, A)."""
    memory: dict[str, Tensor]
    """Of all policies."""
    first: Any
    """What the first policy's `act` returned, for all N robots."""


class InTurn:
    """Several policies as one: of two, the first moves robots 0, 2, ..., the second 1, 3, ...; an `ActingPolicy`."""

    def __init__(self, policies: Sequence[ActingPolicy]) -> None:
        self._policies = policies

    def initial_memory(self, num_envs: int) -> dict[str, Tensor]:
        """Return the memories of all."""
        return self._named([policy.initial_memory(num_envs) for policy in self._policies])

    def act(self, obs: Obs, memory: Memory, deterministic: bool = False) -> ActedInTurn:
        """Let all of them choose for N robots, and take of each what is for its own."""
        acted: list[Any] = []
        for turn, policy in enumerate(self._policies):
            own = {name.removeprefix(f"{turn} "): v for name, v in memory.items() if name.startswith(f"{turn} ")}
            acted.append(policy.act(obs, own, deterministic))
        action = acted[0].action.clone()
        for turn in range(1, len(acted)):
            action[turn :: len(acted)] = acted[turn].action[turn :: len(acted)]
        return ActedInTurn(action, self._named([each.memory for each in acted]), acted[0])

    def _named(self, memories: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        return {f"{turn} {name}": value for turn, memory in enumerate(memories) for name, value in memory.items()}


def velocity_estimated_in(acted: Any) -> np.ndarray | None:
    """Return what a policy took the first robot's velocity for (3,) [m/s]; None if it estimates none."""
    velocity = getattr(acted, "inferred", {}).get("velocity")
    return None if velocity is None else velocity[0].cpu().numpy()


def for_mujoco(opened: Checkpoint | Path) -> Played:
    """Return the policy of a checkpoint, or read an exported one.

    Raises:
        UserError: if it cannot be read, or MuJoCo cannot follow its contract.
    """
    if isinstance(opened, Path):
        deployment = load_deployment(opened)
        return Played(
            deployment.path, deployment.contract, deployment.groups, Policy(deployment), deployment.command_ranges
        )
    contract = read_contract(opened.hyperparameters["contract"], opened.path, "hyper_parameters.contract")
    policy = restore_policy(opened)
    return Played(opened.path, contract, tuple(policy.acting_groups), CheckpointPolicy(policy), opened.command_ranges)


def for_isaaclab(checkpoint: Checkpoint, device: torch.device) -> Played:
    """Return the policy of a checkpoint on the environment's device.

    Raises:
        UserError: if its parts do not belong together.
    """
    policy = restore_policy(checkpoint)
    contract = Contract.from_dict(checkpoint.hyperparameters["contract"])
    return Played(checkpoint.path, contract, tuple(policy.acting_groups), policy.to(device), checkpoint.command_ranges)


def run_of(path: Path) -> dict[str, Path]:
    """Return the checkpoints of the run that a policy comes from, the newest first, by name; itself among them."""
    found = [] if path.suffix == ".onnx" else checkpoints_by_age(path.parent)
    return {path.name: path} | {other.name: other for other in found}
