"""Settings of fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass

from rlmpc.algorithms.ppo.settings import PpoCfg
from rlmpc.algorithms.student.settings import MemoryCfg
from rlmpc.config.setting import setting


@dataclass
class FinetuneCfg(MemoryCfg, PpoCfg):
    """PPO from a student's weights; its network settings are the student's."""

    algorithm: str = "finetune"
    actor_group: str = "policy"
    learning_rate: float = 1.0e-4
    critic_lr: float = setting(1.0e-3, above=0)
    """Fixed learning rate of the value function, which starts untrained."""
    critic_warmup: int = setting(20, least=0)
    """Iterations at the start in which only the value function learns."""
