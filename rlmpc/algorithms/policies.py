"""From settings to a policy, and from a checkpoint to the policy that was trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from rlmpc.algorithms.finetune.settings import FinetuneCfg
from rlmpc.algorithms.ppo.policy import ActorCritic
from rlmpc.algorithms.ppo.settings import PpoCfg
from rlmpc.algorithms.rma.policy import RmaActorCritic
from rlmpc.algorithms.rma.settings import RmaCfg
from rlmpc.algorithms.student.policy import StudentPolicy
from rlmpc.algorithms.student.settings import StudentCfg
from rlmpc.algorithms.table import ALGORITHMS
from rlmpc.checkpoint.file import Checkpoint
from rlmpc.checkpoint.weights import load_weights
from rlmpc.config.agent import AgentCfg
from rlmpc.contract.contract import Contract, check_contract
from rlmpc.contract.observations import ObsSchema
from rlmpc.errors import UserError
from rlmpc.networks.policy import GaussianPolicy


def make_policy(agent: AgentCfg, contract: Contract, predictions: Mapping[str, int] | None = None) -> GaussianPolicy:
    """A new policy as an agent's settings describe it.

    Args:
        agent: the settings.
        contract: what the policy and its environment agree upon.
        predictions: what a student predicts beside its actions: name -> width.
    """
    schema, num_actions = contract.observations, contract.num_actions
    if isinstance(agent, RmaCfg):
        return _adapting(agent, schema, num_actions)
    if isinstance(agent, StudentCfg | FinetuneCfg):
        return StudentPolicy(
            schema.dims(),
            num_actions,
            memory=agent.memory,
            memory_width=agent.memory_width,
            predictions=predictions or {},
            **_actor(agent),
            **(_critic(agent) if isinstance(agent, PpoCfg) else {"critic_group": None, "critic_hidden": ()}),
        )
    assert isinstance(agent, PpoCfg)
    return ActorCritic(schema.dims(), num_actions, **_actor(agent), **_critic(agent))


def restore_policy(checkpoint: Checkpoint) -> GaussianPolicy:
    """The trained policy of a checkpoint, ready to act as it would on a robot (an `rma` policy by its history latent).

    Raises:
        UserError: if settings, contract and weights in the file do not belong together.
    """
    settings = checkpoint.hyperparameters
    agent, contract = restore_agent(checkpoint), Contract.from_dict(settings["contract"])
    try:
        policy = make_policy(agent, contract, settings.get("predictions"))
    except (KeyError, RuntimeError, TypeError, ValueError) as error:  # torch's are long
        reason = str(error.args[0]).splitlines()[0]
        raise UserError(
            f"the agent's settings and the contract in '{checkpoint.path}' do not belong together: {reason}"
        ) from error
    load_weights(policy, weights_of(checkpoint, "policy"), str(checkpoint.path))
    if isinstance(policy, RmaActorCritic):
        policy.mode = "history"
    return policy.eval().requires_grad_(False)


def restore_teacher(checkpoint: Checkpoint) -> GaussianPolicy:
    """The trained policy of a teacher's checkpoint as it acts in simulation, with all that it may know there.

    Raises:
        UserError: as `restore_policy`.
    """
    policy = restore_policy(checkpoint)
    if isinstance(policy, RmaActorCritic):
        policy.mode = "privileged"
    return policy


def check_checkpoint(checkpoint: Checkpoint, world: Contract, groups: Iterable[str]) -> None:
    """Refuse a policy whose contract differs from the environment's in what it uses; see `check_contract`."""
    check_contract(Contract.from_dict(checkpoint.hyperparameters["contract"]), world, groups, str(checkpoint.path))


def weights_of(checkpoint: Checkpoint, module: str) -> dict[str, Tensor]:
    """Parameters and buffers of one module of the learner that was saved."""
    prefix = f"{module}."
    return {name.removeprefix(prefix): v for name, v in checkpoint.state_dict.items() if name.startswith(prefix)}


def restore_agent(checkpoint: Checkpoint) -> AgentCfg:
    """The agent's settings in a checkpoint.

    Raises:
        UserError: if this version does not know them.
    """
    fields = checkpoint.hyperparameters["agent"]
    if checkpoint.algorithm not in ALGORITHMS:
        raise UserError(
            f"'{checkpoint.path}' holds an unknown agent '{checkpoint.algorithm}'; known: {', '.join(ALGORITHMS)}"
        )
    try:
        return ALGORITHMS[checkpoint.algorithm].settings(**fields)
    except TypeError as error:
        raise UserError(f"the agent's settings in '{checkpoint.path}' do not fit this version: {error}") from error


def make_teacher(settings: Mapping[str, Any], contract: Contract) -> GaussianPolicy:
    """A new policy that labels a student's observations: as it acts in simulation, with all that it may know there.

    Args:
        settings: fields of the teacher's agent.
        contract: what the policies and their environment agree upon.
    """
    return make_policy(ALGORITHMS[settings["algorithm"]].settings(**settings), contract).eval()


def _actor(agent: AgentCfg) -> dict[str, Any]:
    return {
        "actor_group": agent.actor_group,
        "actor_hidden": agent.actor_hidden,
        "activation": agent.activation,
        "init_std": agent.init_std,
        "min_std": agent.min_std,
        "max_std": agent.max_std,
        "normalize_obs": agent.normalize_obs,
    }


def _critic(agent: PpoCfg) -> dict[str, Any]:
    return {"critic_group": agent.critic_group, "critic_hidden": agent.critic_hidden}


def _adapting(agent: RmaCfg, schema: ObsSchema, num_actions: int) -> RmaActorCritic:
    return RmaActorCritic(
        schema,
        num_actions,
        privileged_group=agent.privileged_group,
        privileged_terms=agent.privileged_terms,
        velocity_term=agent.velocity_term,
        history_terms=agent.history_terms,
        imu_terms=agent.imu_terms if agent.estimator_imu else (),
        scan_terms=agent.scan_terms,
        recent_frames=agent.recent_frames,
        estimator_frames=agent.estimator_frames,
        latent_dim=agent.latent_dim,
        scan_latent_dim=agent.scan_latent_dim,
        privileged_hidden=agent.privileged_hidden,
        scan_hidden=agent.scan_hidden,
        estimator_hidden=agent.estimator_hidden,
        **_actor(agent),
        **_critic(agent),
    )
