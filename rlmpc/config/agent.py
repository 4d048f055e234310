"""Settings that every agent has."""

from __future__ import annotations

from dataclasses import dataclass, field

from omegaconf import MISSING


@dataclass
class AgentCfg:
    """What every agent has: an actor, and rollouts cut into minibatches; the defaults are those of the reference."""

    algorithm: str = MISSING
    """A key of the table of algorithms; set by the file that `agent=` names."""
    actor_group: str = MISSING
    """Observation group of the actor."""
    actor_hidden: list[int] = field(default_factory=lambda: [512, 256, 128])
    activation: str = "elu"
    init_std: float = 1.0
    """Standard deviation of the actions at the start."""
    min_std: float = 0.05
    max_std: float = 2.0
    normalize_obs: bool = True
    """Running mean and variance for each observation group."""
    num_steps: int = 24
    """Steps of one rollout, for each environment."""
    num_epochs: int = 5
    """Passes over a rollout."""
    num_minibatches: int = 4
    """Minibatches of a pass; num_envs x num_steps must be divisible by it (num_envs, for an agent with a memory)."""
    learning_rate: float = 1.0e-3
    """Start of the adaptive rate, where it is adaptive."""
    max_grad_norm: float = 1.0
    stagger_episodes: bool = True
    """Start with random episode ages, so that time-outs do not come all at once."""
