"""Settings that every agent has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from rlmpc.config.setting import AT_START, MAX_WIDTH, MISSING, setting
from rlmpc.errors import UserError, nearest

Terms = Mapping[str, Mapping[str, int]]
"""Observations of a task: group -> term -> frames of history."""


@dataclass
class AgentCfg:
    """Settings every agent has: of its actor, and of rollouts cut into minibatches. Defaults are the reference's.

    A setting whose name ends in `_group` names a group of observations.
    """

    algorithm: str = setting(MISSING, by_file=True)
    """A key of the table of algorithms; set by the file that `agent=` names."""
    actor_group: str = setting(MISSING, network=True)
    """Observation group of the actor."""
    actor_hidden: list[int] = setting([512, 256, 128], least=1, largest=MAX_WIDTH, network=True)
    activation: str = setting("elu", choices=("elu", "relu", "tanh", "silu"), network=True)
    init_std: float = setting(1.0, least="min_std", most="max_std", inherited=True, fixed=AT_START)
    """Standard deviation of the actions at the start."""
    min_std: float = setting(0.05, above=0, inherited=True)
    max_std: float = setting(2.0, above=0, least="min_std", inherited=True)
    normalize_obs: bool = setting(True, network=True)
    """Whether observations are normalised by the running mean and variance of their group."""
    num_steps: int = setting(24, least=1, largest=10**6)
    """Steps of one rollout in each environment."""
    num_epochs: int = setting(5, least=1, largest=1000)
    """Passes over a rollout."""
    num_minibatches: int = setting(4, least=1)
    """Minibatches of a pass; it must divide num_envs x num_steps, or num_envs for an agent with a memory."""
    learning_rate: float = setting(1.0e-3, above=0)
    """Learning rate; if it is adaptive, the one to start with, also in a resumed run that changes it."""
    max_grad_norm: float = setting(1.0, above=0)
    fused: bool = True
    """Whether a GPU computes PPO's losses and hidden layers in fewer kernels, if what compiles these is installed:
    Triton, a C compiler and Python's headers. No effect on the CPU."""
    stagger_episodes: bool = setting(True, fixed=AT_START)
    """Whether to start with random episode ages, so that time-outs do not come all at once."""

    @property
    def has_memory(self) -> bool:
        """Whether the agent learns from whole sequences of an environment."""
        return False

    def check_minibatches(self, num_envs: int) -> None:
        """Refuse a number of environments whose rollout cannot be cut into equal minibatches.

        Raises:
            UserError: if it cannot, with the numbers.
        """
        if self.has_memory and num_envs % self.num_minibatches:
            raise UserError(
                f"num_envs = {num_envs} is not divisible into agent.num_minibatches = {self.num_minibatches}; an agent "
                "with a memory learns from whole environments"
            )
        size = num_envs * self.num_steps
        if size % self.num_minibatches:
            raise UserError(
                f"num_envs x agent.num_steps = {num_envs} x {self.num_steps} = {size} is not divisible into "
                f"agent.num_minibatches = {self.num_minibatches}"
            )

    def check_task(self, terms: Terms, task: str) -> None:
        """Refuse a task that lacks observations the agent needs.

        Args:
            terms: what the task observes.
            task: its name.

        Raises:
            UserError: if it lacks one, with what is needed and what there is.
        """
        for entry in fields(self):
            group = getattr(self, entry.name)
            if entry.name.endswith("_group") and group not in terms:
                raise UserError(
                    f"agent '{self.algorithm}' needs the observation group '{group}' (agent.{entry.name}), "
                    f"but task '{task}' has {', '.join(terms)}{nearest(group, terms)}"
                )
