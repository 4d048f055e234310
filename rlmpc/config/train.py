"""Everything that `train.py` accepts, with type and meaning; files under `conf/` and arguments only change values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from rlmpc.config.agent import AgentCfg


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
    """`isaaclab` or `toy`; `mujoco` stands for it where an exported policy is played."""
    env_id: str = ""
    """gymnasium id (Isaac Lab)."""
    default_agent: str = MISSING
    num_envs: NumEnvsCfg = field(default_factory=NumEnvsCfg)


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
    """Machines. Under torchrun and SLURM both numbers are those that were started."""
    stop_timeout_s: float = 120.0
    """Seconds from the first SIGTERM or Ctrl-C to the end of the process, if the iteration does not finish before."""


@dataclass
class CheckpointCfg:
    """When checkpoints are written and how many are kept."""

    every: int = 100
    """Iterations between checkpoints; the last iteration is always saved."""
    keep_last: int | None = 20
    """How many of the newest to keep; null keeps all. With `env_state: full` they are large: docs/resume.md."""
    env_state: str = "full"
    """`full`: a resumed run goes on in the midst of its episodes, exactly as if it had not been interrupted;
    `curriculum`: it starts new episodes at the levels and command ranges it had come to. Sizes: docs/resume.md."""
    export: bool = False
    """Whether the policy is also exported for deployment, whenever a checkpoint is written; takes seconds each time."""


@dataclass
class FaultsCfg:
    """What happens where numbers are not finite; the environments concerned always restart and the run goes on."""

    dump: bool = True
    """Whether an iteration with a fault is written to `faults/` in the run's folder (`play.py replay=PATH`). It takes a
    copy of the environments' state every iteration."""
    max_dumps: int = 5
    """Such files of a run."""
    max_env_share: float = 0.1
    """Share of environments with a fault in one iteration above which the run stops."""
    max_skipped_updates: int = 20
    """Gradient steps in a row, skipped for a gradient that is not finite, at which the run stops."""


@dataclass
class ConsoleCfg:
    """What is printed while training."""

    every: int = 1
    """Iterations between rows of the table."""


@dataclass
class TrainCfg:
    """Everything `train.py` accepts."""

    stage: str = MISSING
    resume: str | None = None
    """Run to go on with: a checkpoint, a run's folder or `latest`. Its config is taken over; what else is given changes
    it from here on."""
    resume_allow_partial: bool = False
    """Whether to go on although something that belongs to the state of the run cannot be restored."""
    teacher_ckpt: str | None = None
    """Teacher to distil from (`stage=distill`): a file, a run's folder, `latest` or `best`."""
    student_ckpt: str | None = None
    """Student to go on from with PPO (`stage=finetune`)."""
    teacher_check_steps: int = 200
    """Steps that the teacher is rolled for before it is distilled; 0 skips the check."""
    task: TaskCfg = field(default_factory=TaskCfg)
    agent: AgentCfg = field(default_factory=AgentCfg)
    seed: int = 1
    device: str = "auto"
    """`auto` (a GPU where there is one), `cpu`, `cuda` or `cuda:<index>`."""
    num_envs: int | None = None
    """Environments a process steps; null takes the task's number for the device."""
    deterministic: bool = False
    """Whether the same run gives the same numbers on a GPU too, at a cost; on the CPU it always does."""
    run: RunCfg = field(default_factory=RunCfg)
    trainer: TrainerCfg = field(default_factory=TrainerCfg)
    checkpoint: CheckpointCfg = field(default_factory=CheckpointCfg)
    faults: FaultsCfg = field(default_factory=FaultsCfg)
    logger: list[str] = field(default_factory=lambda: ["tensorboard", "csv"])
    """Any of `tensorboard` and `csv`; an empty list logs nothing."""
    console: ConsoleCfg = field(default_factory=ConsoleCfg)
    env: dict[str, Any] = field(default_factory=dict)
    """Overrides of the environment's own config object, by dotted path."""
