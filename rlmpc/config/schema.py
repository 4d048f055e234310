"""Every setting of a run with its type and meaning. Files under `conf/` and the command line only change values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING


@dataclass
class NumEnvsCfg:
    """Environments a process steps when `num_envs` is not given."""

    cpu: int = 64
    cuda: int = 4096


@dataclass
class TaskCfg:
    """Which environment, and which agent learns it by default."""

    name: str = MISSING
    simulator: str = MISSING
    """`isaaclab` or `toy`."""
    env_id: str = ""
    """gymnasium id of the training variant (Isaac Lab)."""
    play_env_id: str = ""
    """gymnasium id of the play variant: no noise, no pushes, full command ranges (Isaac Lab)."""
    default_agent: str = MISSING
    num_envs: NumEnvsCfg = field(default_factory=NumEnvsCfg)


@dataclass
class AgentCfg:
    """Networks and learning numbers of PPO; the defaults are those of the reference system."""

    name: str = "ppo"
    actor_group: str = "teacher"
    """Observation group of the actor."""
    critic_group: str = "critic"
    """Observation group of the value function."""
    actor_hidden: list[int] = field(default_factory=lambda: [512, 256, 128])
    critic_hidden: list[int] = field(default_factory=lambda: [512, 256, 128])
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
    """Minibatches of a pass; num_envs x num_steps must be divisible by it."""
    learning_rate: float = 1.0e-3
    """Start of the adaptive rate."""
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
    max_grad_norm: float = 1.0
    stagger_episodes: bool = True
    """Start with random episode ages, so that time-outs do not come all at once."""


@dataclass
class RunCfg:
    """Where a run leaves its files."""

    dir: str | None = None
    """The run's folder; by default `<root>/<task>/<stage>/<time>`."""
    root: str = "logs"


@dataclass
class TrainerCfg:
    """Passed to Lightning's Trainer."""

    max_epochs: int = 50_000
    """Iterations in total, those before a resume included."""
    devices: int = 1
    """Processes of this machine, one device each."""
    num_nodes: int = 1


@dataclass
class CheckpointCfg:
    """When checkpoints are written and how many are kept."""

    every: int = 100
    """Iterations between checkpoints; the last iteration is always saved."""
    keep_last: int | None = None
    """How many to keep; null keeps all."""


@dataclass
class ConsoleCfg:
    """What is printed while training."""

    every: int = 1
    """Iterations between rows of the table."""


@dataclass
class TrainCfg:
    """Everything `train.py` accepts."""

    stage: str = MISSING
    task: TaskCfg = field(default_factory=TaskCfg)
    agent: AgentCfg = field(default_factory=AgentCfg)
    seed: int = 1
    device: str = "auto"
    """`auto` (a GPU where there is one), `cpu`, `cuda` or `cuda:<index>`."""
    num_envs: int | None = None
    """Environments a process steps; null takes the task's number for the device."""
    run: RunCfg = field(default_factory=RunCfg)
    trainer: TrainerCfg = field(default_factory=TrainerCfg)
    checkpoint: CheckpointCfg = field(default_factory=CheckpointCfg)
    logger: list[str] = field(default_factory=lambda: ["tensorboard", "csv"])
    """Any of `tensorboard` and `csv`; an empty list logs nothing."""
    console: ConsoleCfg = field(default_factory=ConsoleCfg)
    env: dict[str, Any] = field(default_factory=dict)
    """Overrides of the environment's own config object, by dotted path."""


@dataclass
class PlayCfg:
    """Everything `play.py` accepts."""

    task: TaskCfg = field(default_factory=TaskCfg)
    policy: str = MISSING
    """`zero` or `random`: actions that need no training."""
    steps: int = 500
    """Control steps to run."""
    seed: int = 1
    device: str = "auto"
    num_envs: int | None = 16
    env: dict[str, Any] = field(default_factory=dict)
    """Overrides of the environment's own config object, by dotted path."""
