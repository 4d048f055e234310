"""Settings of distillation."""

from __future__ import annotations

from dataclasses import dataclass

from rlmpc.config.agent import AgentCfg
from rlmpc.config.setting import AT_START, MAX_WIDTH, setting


@dataclass
class MemoryCfg:
    """Settings of a student's memory."""

    memory: str = setting("none", choices=("none", "gru", "lstm"), network=True)
    """`none`, `gru` or `lstm`; gradients go back through a memory to the start of the rollout (`num_steps`)."""
    memory_width: int = setting(256, least=1, largest=MAX_WIDTH, network=True)
    """Number of features of the memory."""

    @property
    def has_memory(self) -> bool:
        """Whether there is a memory, so that learning takes whole sequences of an environment."""
        return self.memory != "none"


@dataclass
class StudentCfg(MemoryCfg, AgentCfg):
    """Imitation of a teacher by a policy that sees only what a robot senses."""

    algorithm: str = "student"
    actor_group: str = "policy"
    init_std: float = 0.1
    """Standard deviation of the student's actions in rollouts; only `loss: kl` changes it."""
    num_epochs: int = 2
    num_minibatches: int = 8
    loss: str = setting("mse", choices=("mse", "huber", "kl"))
    """Loss between the student's actions and the teacher's: `mse`, `huber` or `kl`."""
    huber_delta: float = setting(1.0, above=0)
    """Difference of actions above which the Huber loss is linear."""
    beta_iterations: int = setting(20, least=0)
    """Iterations over which the share of environments in which the teacher acts falls from 1 to 0; 0: it never acts."""
    leave_out_steps: int = setting(0, least=0, largest=10**6)
    """Steps before a fall that are left out where the teacher was acting; 0 keeps all."""
    predictions: dict[str, float] = setting({}, above=0, fixed="it shapes the networks, whose weights go on")
    """Quantities that the student predicts from its last hidden layer besides its actions, name -> weight in the loss.
    An `rma` teacher teaches `latent`, its privileged latent, and `velocity`, the true base velocity."""
    teacher_check_steps: int = setting(200, least=0, largest=10**6, fixed=AT_START)
    """Steps for which the teacher is checked in the environment before training; 0 skips the check."""
