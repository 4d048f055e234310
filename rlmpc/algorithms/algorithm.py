"""What an algorithm consists of; each is described in the `__init__.py` of its folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rlmpc.config.agent import AgentCfg

if TYPE_CHECKING:
    from rlmpc.learners.base import OnPolicyLearner
    from rlmpc.networks.policy import GaussianPolicy


@dataclass(frozen=True)
class Algorithm:
    """One way to learn: what is set, what acts, what trains it."""

    name: str
    """`agent.algorithm` of its settings."""
    settings: type[AgentCfg]
    stage: str
    """The file under `conf/stage` whose runs it trains."""
    policy: Callable[[], Callable[..., GaussianPolicy]]
    """Imports the policy's class, which takes these settings and a `Contract`.

    A call, because torch takes seconds, and a typing error should be told at once.
    """
    learner: Callable[[], type[OnPolicyLearner]]
    """Imports the LightningModule's class, likewise."""
    starts_from: str | None = None
    """Stage or algorithm whose checkpoints it builds upon (`<starts_from>_ckpt=PATH`); None starts from nothing. Where
    both have the same policy, its network settings are taken over from there."""
