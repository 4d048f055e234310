"""Settings of distillation."""

from __future__ import annotations

from dataclasses import dataclass

from rlmpc.config.agent import AgentCfg
from rlmpc.config.setting import AT_START, setting


@dataclass
class MemoryCfg:
    """What a student remembers of an episode."""

    memory: str = setting("none", choices=("none", "gru", "lstm"), network=True)
    """`none`, `gru` or `lstm`; with a memory, gradients go back to the start of a rollout (`num_steps`)."""
    memory_width: int = setting(256, least=1, network=True)
    """Features that are remembered."""

    @property
    def has_memory(self) -> bool:
        """Whether it learns from whole sequences of an environment."""
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
    """`mse`, `huber` or `kl`, between the student's actions and the teacher's."""
    huber_delta: float = setting(1.0, above=0)
    """Difference of actions from which on the Huber loss is linear."""
    beta_iterations: int = setting(20, least=0)
    """Iterations over which the teacher acts in fewer and fewer environments, from all to none; 0: in none ever."""
    leave_out_steps: int = setting(0, least=0)
    """Steps before a fall that are not learned from where the teacher was acting; 0 keeps all."""
    predictions: dict[str, float] = setting({}, above=0, network=True)
    """What the student predicts from its last hidden layer beside its actions: name -> weight in the loss. An `rma`
    teacher knows `latent`, its privileged latent, and `velocity`, the true one that its estimator is taught."""
    teacher_check_steps: int = setting(200, least=0, fixed=AT_START)
    """Steps that the teacher is rolled for before anything is learned from it; 0 skips the check."""
