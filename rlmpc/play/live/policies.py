"""Reads policies for live play."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from rlmpc.algorithms.restore import restore_policy
from rlmpc.checkpoint.file import Checkpoint
from rlmpc.checkpoint.find import checkpoints_by_age
from rlmpc.contract.contract import Contract
from rlmpc.contract.live import Played
from rlmpc.export.deployment import load_deployment, read_contract
from rlmpc.networks.policy import GaussianPolicy
from rlmpc.sim2sim.policy import Policy


class CheckpointPolicy:
    """A checkpoint's policy on one robot, with arrays; acts as `rlmpc.sim2sim.policy.Policy` does."""

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
        return acted.action[0].numpy()


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


def beside(path: Path) -> dict[str, Path]:
    """Return the checkpoints of the run that a policy comes from, the newest first, by name; itself among them."""
    found = [] if path.suffix == ".onnx" else checkpoints_by_age(path.parent)
    return {path.name: path} | {other.name: other for other in found}
