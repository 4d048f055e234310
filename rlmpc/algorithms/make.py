"""From an agent's config, and what it builds upon, to its learner."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rlmpc.algorithms.finetune.learner import FinetuneLearner
from rlmpc.algorithms.finetune.settings import FinetuneCfg
from rlmpc.algorithms.policies import make_teacher, weights_of
from rlmpc.algorithms.ppo.learner import PpoLearner
from rlmpc.algorithms.rma.learner import RmaLearner
from rlmpc.algorithms.rma.policy import RmaActorCritic
from rlmpc.algorithms.student.learner import StudentLearner
from rlmpc.algorithms.student.settings import StudentCfg
from rlmpc.checkpoint.file import Checkpoint
from rlmpc.checkpoint.weights import load_weights
from rlmpc.config.agent import AgentCfg
from rlmpc.contract.contract import Contract, check_contract
from rlmpc.errors import UserError, nearest
from rlmpc.learners.base import OnPolicyLearner

LEARNERS: dict[str, type[PpoLearner]] = {"ppo": PpoLearner, "rma": RmaLearner, "finetune": FinetuneLearner}
"""The LightningModule of each `agent.algorithm` that learns by reward."""


def make_learner(agent: AgentCfg, contract: Contract) -> PpoLearner:
    """A new learner by reward for environments with this contract."""
    return LEARNERS[agent.algorithm](asdict(agent), contract.to_dict())


def make_distill_learner(
    agent: StudentCfg, contract: Contract, teacher: Checkpoint, evaluation: dict[str, float]
) -> StudentLearner:
    """A new student of the teacher in a checkpoint.

    Args:
        agent: the student's settings.
        contract: of the environment.
        teacher: the teacher's checkpoint.
        evaluation: how the teacher did in this environment before the student started.

    Raises:
        UserError: if the teacher does not have what the student is to predict, or its weights do not fit its settings.
    """
    settings = teacher.hyperparameters["agent"]
    origin: dict[str, Any] = {
        "agent": settings,
        "sha256": teacher.sha256,
        "iteration": teacher.iteration,
        "numbers": teacher.numbers,
        "evaluation": evaluation,
    }
    predictions = _predictions(agent, settings, contract)
    learner = StudentLearner(asdict(agent), contract.to_dict(), origin, predictions)
    load_weights(learner.teacher, weights_of(teacher, "policy"), str(teacher.path))
    return learner


def make_finetune_learner(agent: FinetuneCfg, contract: Contract, student: Checkpoint) -> FinetuneLearner:
    """A learner by reward that starts from the actor, memory and normalizer of a student's checkpoint.

    It starts from the student's noise as well, unless `agent.init_std` says otherwise.

    Raises:
        UserError: if the student's weights do not fit the agent's network settings.
    """
    learner = FinetuneLearner(asdict(agent), contract.to_dict())
    group = f"normalizers.{agent.critic_group}."

    def is_critics(name: str) -> bool:
        return name.startswith("critic.") or (name.startswith(group) and agent.critic_group != agent.actor_group)

    weights = {name: v for name, v in weights_of(student, "policy").items() if not name.startswith("predictors.")}
    fresh = {name: v for name, v in learner.policy.state_dict().items() if is_critics(name)}
    load_weights(learner.policy, fresh | weights, str(student.path))
    if agent.init_std != student.hyperparameters["agent"]["init_std"]:
        learner.policy.noise.reset(agent.init_std)
    return learner


def make_resumed_learner(agent: AgentCfg, contract: Contract, checkpoint: Checkpoint) -> OnPolicyLearner:
    """The learner that was saved, with the agent's settings of today; its optimizer is restored by Lightning.

    Raises:
        UserError: if the environment is not the one that it learned in, or the weights do not fit the settings.
    """
    saved = Contract.from_dict(checkpoint.hyperparameters["contract"])
    check_contract(saved, contract, saved.observations.groups, str(checkpoint.path))
    learner_class = StudentLearner if isinstance(agent, StudentCfg) else LEARNERS[agent.algorithm]
    learner = learner_class(**{**checkpoint.hyperparameters, "agent": asdict(agent)})
    load_weights(learner, checkpoint.state_dict, str(checkpoint.path))
    return learner


def _predictions(agent: StudentCfg, teacher: dict[str, Any], contract: Contract) -> dict[str, int]:
    if not agent.predictions:
        return {}
    policy = make_teacher(teacher, contract)
    is_rma = isinstance(policy, RmaActorCritic)
    widths = {"latent": policy.latent_dim, "velocity": policy.velocity_dim} if is_rma else {}
    for name in agent.predictions.keys() - widths.keys():
        raise UserError(
            f"'agent.predictions' names '{name}', but this teacher, agent '{teacher['algorithm']}', "
            f"can teach {', '.join(widths) or 'nothing beside its actions'}{nearest(name, widths)}"
        )
    return {name: widths[name] for name in widths if name in agent.predictions}
