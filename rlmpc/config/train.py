"""Everything `train.py` accepts, with type and meaning; files under `conf/` and arguments only change values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rlmpc.config.agent import AgentCfg
from rlmpc.config.seeds import MAX_SEED
from rlmpc.config.setting import MAX_ENVS, MISSING, setting
from rlmpc.errors import UserError

TAKEN_OVER = "the checkpoint holds all that was taken from there"
"""Why the checkpoint that a run started from cannot change on resume."""


ENVS_PER_HELD_OUT = 80
"""On a GPU, one of so many environments is held out by default: 1.25 % of the steps."""


@dataclass
class NumEnvsCfg:
    """Environments each process steps when `num_envs` is not given."""

    cpu: int = setting(64, least=1, largest=MAX_ENVS)
    """On the CPU."""
    cuda: int = setting(4096, least=1, largest=MAX_ENVS)
    """On a GPU."""


@dataclass
class TaskCfg:
    """The environment, and the agent that learns it by default."""

    name: str = setting(MISSING, by_file=True)
    simulator: str = setting(MISSING, choices=("isaaclab", "toy", "mujoco"), by_file=True)
    """`isaaclab` or `toy`; `mujoco` where an exported policy is played."""
    env_id: str = setting("", by_file=True)
    """gymnasium id (Isaac Lab)."""
    default_agent: str = setting(MISSING, by_file=True)
    num_envs: NumEnvsCfg = field(default_factory=NumEnvsCfg)


@dataclass
class RunCfg:
    """Where a run leaves its files."""

    dir: str | None = setting(None, path=True)
    """The run's folder; by default `<root>/<task>/<stage>/<time>`."""
    root: str = setting("logs", path=True)
    """Folder of all runs; `latest` and `best` look there."""


@dataclass
class TrainerCfg:
    """Passed to Lightning's Trainer."""

    max_epochs: int = setting(50_000, least=1, largest=10**9)
    """Total iterations, those before a resume included."""
    devices: int = setting(1, least=1, largest=1024)
    """Processes on each machine, one device each."""
    num_nodes: int = setting(1, least=1, largest=10_000)
    """Number of machines. Under torchrun and SLURM this and `devices` are taken from the launcher."""
    stop_timeout_s: float = setting(120.0, least=1, largest=1e6)
    """Seconds after the first SIGTERM or Ctrl-C at which the process is ended if the iteration has not finished."""


@dataclass
class CheckpointCfg:
    """When checkpoints are written and how many are kept."""

    every: int = setting(100, least=1)
    """Iterations between checkpoints; the last iteration is always saved."""
    keep_last: int | None = setting(20, least=1)
    """How many of the newest to keep; null keeps all. With `env_state: full` they are large: docs/resume.md."""
    env_state: str = setting("full", choices=("full", "curriculum"))
    """`full`: a resumed run continues its episodes exactly as if it had not been interrupted; `curriculum`: it starts
    new episodes at the levels and command ranges it had reached. Sizes: docs/resume.md."""
    export: bool = False
    """Whether the policy is also exported for deployment with every checkpoint; takes seconds each time."""
    upload: str = setting("end", choices=("none", "end", "all"))
    """Which checkpoints wandb and mlflow keep: the last and the best when the run ends (`end`), or `all` at once."""


@dataclass
class EvaluationCfg:
    """Environments that are held out of training to see how well the policy does: docs/architecture.md."""

    num_envs: int | None = setting(None, least=0, largest=MAX_ENVS)
    """How many of each process's environments; 0 for none. Null: one in 80 on a GPU, none on the CPU."""
    every: int = setting(100, least=1)
    """Iterations between results; a multiple of it if two whole episodes take longer."""

    def num_held_out(self, num_envs: int, device_type: str) -> int:
        """Return how many of `num_envs` environments are held out on such a device, `cpu` or `cuda`.

        Raises:
            UserError: if none would be left to learn from.
        """
        if self.num_envs is None:
            return num_envs // ENVS_PER_HELD_OUT if device_type == "cuda" else 0
        if self.num_envs >= num_envs:
            raise UserError(
                f"evaluation.num_envs = {self.num_envs} leaves none of num_envs = {num_envs} to learn from; "
                "choose a smaller one"
            )
        return self.num_envs


@dataclass
class VideoCfg:
    """Films of the policy while it learns: docs/logging.md."""

    every: int | None = setting(None, least=1)
    """Iterations between films, a multiple of `checkpoint.every`: a process of its own films the checkpoint. Null films
    nothing."""
    steps: int = setting(250, least=1, largest=10_000)
    """Control steps of a film."""


@dataclass
class FaultsCfg:
    """What happens when numbers are not finite; in any case the environments concerned restart and the run goes on."""

    dump: bool | None = None
    """Whether an iteration with a fault is written to `faults/` in the run's folder (`play.py replay=PATH`); null: on
    the CPU only. Costs a copy of the environments' state every iteration, and a GPU waits for the host once more."""
    max_dumps: int = setting(5, least=1)
    """Largest number of such files of each process of a run."""
    max_env_share: float = setting(0.1, least=0, most=1)
    """Share of environments with a fault in one iteration above which the run stops."""
    max_skipped_updates: int = setting(20, least=1)
    """Gradient steps skipped in a row, because a gradient was not finite, at which the run stops."""
    max_skipped_share: float = setting(0.5, least=0, most=1)
    """Share of the last 100 gradient steps skipped for this reason above which the run stops. A GPU's run stops after
    the rollout that follows, like for the other limits."""

    def are_recorded(self, device_type: str) -> bool:
        """Return whether a run on such a device, `cpu` or `cuda`, records what it takes to replay a fault."""
        return device_type == "cpu" if self.dump is None else self.dump


@dataclass
class ConsoleCfg:
    """What is printed while training."""

    every: int = setting(1, least=1)
    """Iterations between rows of the table."""
    stall_after: int | None = setting(100, least=1)
    """Iterations without a promotion to harder ground, or at the lowest learning rate, after which a line says so and
    why; null says nothing."""


@dataclass
class TrainCfg:
    """Everything `train.py` accepts."""

    stage: str = MISSING
    config: str | None = setting(None, path=True, fixed=TAKEN_OVER)
    """`config.yaml` of an earlier run, whose settings a new run has. Other arguments change them."""
    sweep: str | None = setting(None, path=True)
    """File that describes many runs which look for the best settings; nothing is given beside it: docs/sweep.md."""
    resume: str | None = setting(None, path=True)
    """Run to resume: a checkpoint, a run's folder or `latest`. Its config is taken over; other arguments change it from
    here on."""
    resume_allow_partial: bool = False
    """Whether to go on even if part of the run's state cannot be restored."""
    teacher_ckpt: str | None = setting(None, path=True, fixed=TAKEN_OVER)
    """Teacher to distil from (`stage=distill`): a file, a run's folder, `latest` or `best`."""
    student_ckpt: str | None = setting(None, path=True, fixed=TAKEN_OVER)
    """Student to fine-tune with PPO (`stage=finetune`)."""
    init_ckpt: str | None = setting(None, path=True, fixed=TAKEN_OVER)
    """Policy whose weights a new run of any stage starts with, of another task or an older one. Nothing else is taken
    over: docs/agents.md."""
    task: TaskCfg = field(default_factory=TaskCfg)
    agent: AgentCfg = field(default_factory=AgentCfg)
    seed: int = setting(1, least=0, most=MAX_SEED, fixed="the random generators go on from where they were")
    """Every process of a run derives its own from it: see `rlmpc.config.seeds`."""
    device: str = "auto"
    """`auto` (a GPU where there is one), `cpu`, `cuda` or `cuda:<index>`."""
    num_envs: int | None = setting(None, least=1, largest=MAX_ENVS)
    """Environments each process steps; null takes the task's number for the device."""
    deterministic: bool = False
    """Whether the same run gives the same numbers on a GPU too, which is slower; on the CPU it always does."""
    cuda_graphs: bool = True
    """Whether a GPU replays each part of an iteration as one recorded graph. No effect on the CPU, nor with
    `deterministic`."""
    matmul_precision: str = setting("high", choices=("high", "highest"))
    """Of matrix products on a GPU: `high` is TF32 (10 bits of mantissa, several times as fast), `highest` float32."""
    run: RunCfg = field(default_factory=RunCfg)
    trainer: TrainerCfg = field(default_factory=TrainerCfg)
    checkpoint: CheckpointCfg = field(default_factory=CheckpointCfg)
    evaluation: EvaluationCfg = field(default_factory=EvaluationCfg)
    faults: FaultsCfg = field(default_factory=FaultsCfg)
    video: VideoCfg = field(default_factory=VideoCfg)
    logger: list[str] = setting(["tensorboard", "csv"], choices=("tensorboard", "csv", "wandb", "mlflow"))
    """Any of `tensorboard`, `csv`, `wandb` and `mlflow`; an empty list logs nothing."""
    console: ConsoleCfg = field(default_factory=ConsoleCfg)
    env: dict[str, Any] = field(default_factory=dict)
    """Overrides of the environment's own config object, by dotted path."""
