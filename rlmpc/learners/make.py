"""From an agent's config to its learner."""

from __future__ import annotations

from dataclasses import asdict

from rlmpc.config.schema import AgentCfg
from rlmpc.learners.rma import RmaLearner
from rlmpc.learners.teacher import TeacherLearner
from rlmpc.obs_schema import ObsSchema

LEARNERS: dict[str, type[TeacherLearner]] = {"ppo": TeacherLearner, "rma": RmaLearner}
"""The LightningModule of each `agent.algorithm`."""


def make_learner(agent: AgentCfg, schema: ObsSchema, num_actions: int) -> TeacherLearner:
    """A new learner for environments with these observation groups and A actions."""
    return LEARNERS[agent.algorithm](asdict(agent), schema.to_dict(), num_actions)
