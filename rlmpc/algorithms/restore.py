"""Restores the trained policy of a checkpoint."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from rlmpc.algorithms.table import ALGORITHMS
from rlmpc.checkpoint.file import Checkpoint
from rlmpc.checkpoint.weights import load_weights
from rlmpc.config.agent import AgentCfg
from rlmpc.contract.contract import Contract, check_contract
from rlmpc.errors import UserError
from rlmpc.networks.policy import GaussianPolicy


def restore_policy(checkpoint: Checkpoint) -> GaussianPolicy:
    """Restore the trained policy of a checkpoint, frozen and acting as on a robot (`in_simulation` changes that).

    Raises:
        UserError: if settings, contract and weights in the file do not belong together.
    """
    made_of = checkpoint.hyperparameters
    settings, contract = restore_settings(checkpoint), Contract.from_dict(made_of["contract"])
    # Only a policy that also predicts other quantities has this argument.
    more = [made_of["predictions"]] if "predictions" in made_of else []
    try:
        policy = ALGORITHMS[checkpoint.algorithm].policy()(settings, contract, *more)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:  # torch's messages are long
        reason = str(error.args[0]).splitlines()[0]
        raise UserError(
            f"the agent's settings and the contract in '{checkpoint.path}' do not belong together: {reason}"
        ) from error
    load_weights(policy, weights_of(checkpoint, "policy"), str(checkpoint.path))
    return policy.on_robot().eval().requires_grad_(False)


def restore_settings(checkpoint: Checkpoint) -> AgentCfg:
    """Restore the agent's settings of a checkpoint.

    Raises:
        UserError: if this version does not know the agent or a setting.
    """
    if checkpoint.algorithm not in ALGORITHMS:
        raise UserError(
            f"'{checkpoint.path}' holds an unknown agent '{checkpoint.algorithm}'; known: {', '.join(ALGORITHMS)}"
        )
    try:
        return ALGORITHMS[checkpoint.algorithm].settings(**checkpoint.hyperparameters["agent"])
    except TypeError as error:
        raise UserError(f"the agent's settings in '{checkpoint.path}' do not fit this version: {error}") from error


def check_checkpoint(checkpoint: Checkpoint, world: Contract, groups: Iterable[str]) -> None:
    """Refuse a policy that uses something in which its contract differs from `world`; see `check_contract`."""
    check_contract(Contract.from_dict(checkpoint.hyperparameters["contract"]), world, groups, str(checkpoint.path))


def weights_of(checkpoint: Checkpoint, module: str) -> dict[str, Tensor]:
    """Return the parameters and buffers of one module of the saved learner."""
    prefix = f"{module}."
    return {name.removeprefix(prefix): v for name, v in checkpoint.state_dict.items() if name.startswith(prefix)}
