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
    """One way to learn: its settings, its policy and its learner."""

    name: str
    """`agent.algorithm` of its settings."""
    settings: type[AgentCfg]
    stage: str
    """Stage in which it trains, a file under `conf/stage`."""
    policy: Callable[[], Callable[..., GaussianPolicy]]
    """Imports the policy's class, which takes these settings and a `Contract`.

    Called late, because importing torch takes seconds and a mistyped argument should be reported at once.
    """
    learner: Callable[[], type[OnPolicyLearner]]
    """Imports the LightningModule's class, late for the same reason."""
    starts_from: str | None = None
    """Stage or algorithm whose checkpoints it builds upon (`<starts_from>_ckpt=PATH`); None starts from nothing. If
    both have the same policy, the network settings come from the checkpoint."""
