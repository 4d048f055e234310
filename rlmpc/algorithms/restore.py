"""Restores the trained policy of a checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from rlmpc.algorithms.table import ALGORITHMS
from rlmpc.checkpoint.file import Checkpoint
from rlmpc.checkpoint.weights import load_weights, make_with_weights
from rlmpc.config.agent import AgentCfg
from rlmpc.config.setting import check_settings
from rlmpc.contract.contract import Contract, check_contract
from rlmpc.contract.schema import checked
from rlmpc.errors import UserError
from rlmpc.networks.policy import GaussianPolicy

if TYPE_CHECKING:
    from rlmpc.learners.base import OnPolicyLearner


def restore_policy(checkpoint: Checkpoint) -> GaussianPolicy:
    """Restore the trained policy of a checkpoint, frozen and acting as on a robot (`in_simulation` changes that).

    Raises:
        UserError: if settings, contract and weights in the file do not belong together.
    """
    made_of = checkpoint.hyperparameters
    settings, contract = restore_settings(made_of["agent"], checkpoint.path), Contract.from_dict(made_of["contract"])
    # Only a policy that also predicts other quantities has this argument.
    more = [made_of["predictions"]] if "predictions" in made_of else []
    make = partial(ALGORITHMS[settings.algorithm].policy(), settings, contract, *more)
    policy = make_with_weights(make, weights_of(checkpoint, "policy"), str(checkpoint.path))
    return policy.on_robot().eval().requires_grad_(False)


def take_over_policy(learner: OnPolicyLearner, checkpoint: Checkpoint, world: Contract) -> None:
    """Let a new learner start with a checkpoint's policy: weights, normalizers and, unless `init_std` differs, noise.

    A value function or predictions that only one of the two policies has stay behind, or as they are.

    Args:
        learner: has a policy of the same class as the checkpoint's learner.
        checkpoint: where the policy comes from.
        world: the contract of the environment at hand.

    Raises:
        UserError: if the contracts differ in what both policies use, or the weights do not fit the network settings.
    """
    policy, here, there = learner.policy, learner.hparams, checkpoint.hyperparameters
    read_there = {group for name, group in there["agent"].items() if name.endswith("_group")}
    check_checkpoint(checkpoint, world, read_there.intersection(policy.groups))
    apart = [f"predictors.{name}." for name in {*here.get("predictions", {})} ^ {*there.get("predictions", {})}]
    critic_groups = {made_of["agent"].get("critic_group") for made_of in (here, there)}
    if None in critic_groups:
        own = critic_groups - {None, policy.actor_group}
        apart += ["critic.", *(f"normalizers.{group}." for group in own)]
    fresh = {name: v for name, v in policy.state_dict().items() if name.startswith(tuple(apart))}
    taken = {name: v for name, v in weights_of(checkpoint, "policy").items() if not name.startswith(tuple(apart))}
    load_weights(policy, fresh | taken, str(checkpoint.path))
    if learner.cfg.init_std != checkpoint.noise_std:
        policy.noise.reset(learner.cfg.init_std)
    policy.noise.project()


def restore_settings(saved: Mapping[str, Any], path: Path, field: str = "hyper_parameters.agent") -> AgentCfg:
    """Restore an agent's settings.

    Args:
        saved: the settings as a dict.
        path: the checkpoint that holds them.
        field: where in it they are, dotted.

    Raises:
        UserError: if this version does not know the agent or a setting, or does not accept a value.
    """
    algorithm = saved["algorithm"]
    if algorithm not in ALGORITHMS:
        raise UserError(f"'{path}' holds an unknown agent '{algorithm}'; known: {', '.join(ALGORITHMS)}")
    settings: AgentCfg = checked(ALGORITHMS[algorithm].settings, saved, path, field, is_config=True)
    try:
        # They had their effect: a run that was steered may have left its initial noise beyond its bounds.
        check_settings(settings, f"{field}.", taken_over={f"{field}.{name}": value for name, value in saved.items()})
    except UserError as error:
        raise UserError(f"'{path}' holds something else than expected: {error}") from error
    return settings


def check_checkpoint(checkpoint: Checkpoint, world: Contract, groups: Iterable[str]) -> None:
    """Refuse a policy that uses something in which its contract differs from `world`; see `check_contract`."""
    check_contract(Contract.from_dict(checkpoint.hyperparameters["contract"]), world, groups, str(checkpoint.path))


def weights_of(checkpoint: Checkpoint, module: str) -> dict[str, Tensor]:
    """Return the parameters and buffers of one module of the saved learner."""
    prefix = f"{module}."
    return {name.removeprefix(prefix): v for name, v in checkpoint.state_dict.items() if name.startswith(prefix)}
