"""Settings of PPO."""

from __future__ import annotations

from dataclasses import dataclass

from rlmpc.config.agent import AgentCfg
from rlmpc.config.setting import MAX_WIDTH, setting


@dataclass
class PpoCfg(AgentCfg):
    """Proximal policy optimization of a feed-forward actor and critic."""

    algorithm: str = "ppo"
    actor_group: str = "teacher"
    critic_group: str = setting("critic", network=True)
    """Observation group of the value function."""
    critic_hidden: list[int] = setting([512, 256, 128], least=1, largest=MAX_WIDTH, network=True)
    learning_rate: float = setting(1.0e-3, least="min_lr", most="max_lr")
    """Initial value of the adaptive learning rate; a resumed run that changes it goes on from the new one."""
    min_lr: float = setting(1.0e-5, above=0)
    max_lr: float = setting(1.0e-2, above=0, least="min_lr")
    desired_kl: float = setting(0.01, above=0)
    """Desired KL divergence of an update; the learning rate adapts to reach it."""
    clip: float = setting(0.2, above=0)
    clip_value_loss: bool = True
    gamma: float = setting(0.99, least=0, most=1)
    lam: float = setting(0.95, least=0, most=1)
    entropy_coef: float = setting(0.01, least=0)
    final_entropy_coef: float | None = setting(None, least=0)
    """What `entropy_coef` becomes after the annealing; null: it stays."""
    final_max_std: float | None = setting(None, above=0, least="min_std", most="max_std")
    """What `max_std` becomes after the annealing; null: it stays."""
    anneal_start: int = setting(0, least=0)
    """Iteration at which exploration begins to be annealed."""
    anneal_iterations: int = setting(0, least=0)
    """Iterations over which both then change linearly, the standard deviation in its logarithm."""
    value_coef: float = setting(1.0, least=0)
    clip_gradients: str = setting("apart", choices=("together", "apart"))
    """Whether the gradients of actor and critic are clipped to `max_grad_norm` together, as one vector, or each apart,
    as in rsl_rl. Parameters with a learning rate of their own are always clipped apart."""

    @property
    def clip_value(self) -> float | None:
        """Largest change of a value that is still rewarded; None for no such bound."""
        return self.clip if self.clip_value_loss else None
