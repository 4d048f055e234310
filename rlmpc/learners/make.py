"""From an agent's config to its learner."""

from __future__ import annotations

from dataclasses import asdict

from rlmpc.config.schema import AgentCfg
from rlmpc.contract import Contract
from rlmpc.learners.rma import RmaLearner
from rlmpc.learners.teacher import TeacherLearner

LEARNERS: dict[str, type[TeacherLearner]] = {"ppo": TeacherLearner, "rma": RmaLearner}
"""The LightningModule of each `agent.algorithm`."""


def make_learner(agent: AgentCfg, contract: Contract) -> TeacherLearner:
    """A new learner for environments with this contract."""
    return LEARNERS[agent.algorithm](asdict(agent), contract.to_dict())
