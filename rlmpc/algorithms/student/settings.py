"""Settings of distillation."""

from __future__ import annotations

from dataclasses import dataclass, field

from rlmpc.config.agent import AgentCfg


@dataclass
class MemoryCfg:
    """What a student remembers of an episode."""

    memory: str = "none"
    """`none`, `gru` or `lstm`; with a memory, gradients go back to the start of a rollout (`num_steps`)."""
    memory_width: int = 256
    """Features that are remembered."""


@dataclass
class StudentCfg(MemoryCfg, AgentCfg):
    """Imitation of a teacher by a policy that sees only what a robot senses."""

    algorithm: str = "student"
    actor_group: str = "policy"
    init_std: float = 0.1
    """Standard deviation of the student's actions in rollouts; only `loss: kl` changes it."""
    num_epochs: int = 2
    num_minibatches: int = 8
    loss: str = "mse"
    """`mse`, `huber` or `kl`, between the student's actions and the teacher's."""
    huber_delta: float = 1.0
    """Difference of actions from which on the Huber loss is linear."""
    beta_iterations: int = 20
    """Iterations over which the teacher acts in fewer and fewer environments, from all to none; 0: in none ever."""
    leave_out_steps: int = 0
    """Steps before a fall that are not learned from where the teacher was acting; 0 keeps all."""
    predictions: dict[str, float] = field(default_factory=dict)
    """What is predicted beside the actions, of all that the teacher can teach: name -> weight."""
    teacher_check_steps: int = 200
    """Steps for which the teacher is looked at before it is imitated; 0 does not look."""
