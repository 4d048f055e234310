"""Settings of PPO."""

from __future__ import annotations

from dataclasses import dataclass, field

from rlmpc.config.agent import AgentCfg


@dataclass
class PpoCfg(AgentCfg):
    """Proximal policy optimization of a feed-forward actor and critic."""

    algorithm: str = "ppo"
    actor_group: str = "teacher"
    critic_group: str = "critic"
    """Observation group of the value function."""
    critic_hidden: list[int] = field(default_factory=lambda: [512, 256, 128])
    min_lr: float = 1.0e-5
    max_lr: float = 1.0e-2
    desired_kl: float = 0.01
    """KL divergence an update should make; the learning rate follows it."""
    clip: float = 0.2
    clip_value_loss: bool = True
    gamma: float = 0.99
    lam: float = 0.95
    entropy_coef: float = 0.01
    value_coef: float = 1.0
