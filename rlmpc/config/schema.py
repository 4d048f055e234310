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
    """`isaaclab` or `toy`; `mujoco` stands for it where an exported policy is played."""
    env_id: str = ""
    """gymnasium id (Isaac Lab)."""
    default_agent: str = MISSING
    num_envs: NumEnvsCfg = field(default_factory=NumEnvsCfg)


@dataclass
class AgentCfg:
    """What every agent has: an actor, and rollouts cut into minibatches; the defaults are those of the reference."""

    algorithm: str = MISSING
    """A key of `AGENTS`; set by the file that `agent=` names."""
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


@dataclass
class RmaCfg(PpoCfg):
    """PPO with a privileged latent, a latent from history and a velocity estimator.

    Names of terms, and numbers, are those of the reference system; terms are grouped by what the networks do with them.
    """

    algorithm: str = "rma"
    actor_group: str = "policy"
    """Group of everything that the robot senses."""
    privileged_group: str = "critic"
    """Group of the privileged terms and the true velocity."""
    privileged_terms: list[str] = field(
        default_factory=lambda: ["joint_stiffness", "joint_damping", "torso_mass", "torso_com", "foot_friction"]
    )
    velocity_term: str = "base_lin_vel"
    history_terms: list[str] = field(default_factory=lambda: ["joint_pos", "joint_vel"])
    """Sensed terms whose whole histories the history encoder takes."""
    imu_terms: list[str] = field(default_factory=lambda: ["base_ang_vel", "projected_gravity"])
    scan_terms: list[str] = field(default_factory=list)
    """What the scan encoder takes; without any there is none, and a scan reaches the actor as it is."""
    recent_frames: int = 5
    """Newest frames of the history terms that the actor sees directly."""
    estimator_frames: int = 1
    """Newest frames that the estimator sees."""
    estimator_imu: bool = True
    """Whether the estimator sees the IMU terms. The reference's does not."""
    latent_dim: int = 32
    scan_latent_dim: int = 32
    privileged_hidden: list[int] = field(default_factory=lambda: [128, 64])
    scan_hidden: list[int] = field(default_factory=lambda: [128, 64])
    estimator_hidden: list[int] = field(default_factory=lambda: [128, 64])
    estimator_lr: float = 1.0e-3
    history_lr: float = 1.0e-3
    history_every: int = 20
    """Every so many iterations one acts on the history latent and then trains the history encoder."""
    regularizer_weight: float = 0.1
    """Final weight of the distance between the latents in PPO's loss, which pulls the privileged one."""
    regularizer_start: int = 2000
    """Iteration until which that weight is 0."""
    regularizer_ramp: int = 3000
    """Iterations over which it then rises."""
    compat: str | None = None
    """`reference` updates on the true velocity and the privileged latent whatever the rollout consumed, as the
    reference system does; null updates on what was consumed."""


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
    latent_coef: float = 0.0
    """Weight of predicting an `rma` teacher's privileged latent from the student's last hidden layer."""
    velocity_coef: float = 0.0
    """Weight of predicting the true base velocity that an `rma` teacher's estimator is taught."""


@dataclass
class FinetuneCfg(MemoryCfg, PpoCfg):
    """PPO from a student's weights; its network settings are the student's."""

    algorithm: str = "finetune"
    actor_group: str = "policy"
    learning_rate: float = 1.0e-4
    critic_lr: float = 1.0e-3
    """Fixed rate of the value function, which starts from nothing."""
    critic_warmup: int = 20
    """Iterations at the start in which only the value function learns."""


AGENTS: dict[str, type[AgentCfg]] = {"ppo": PpoCfg, "rma": RmaCfg, "student": StudentCfg, "finetune": FinetuneCfg}
"""Settings of each `agent.algorithm`."""

STAGES: dict[str, tuple[str, ...]] = {"teacher": ("ppo", "rma"), "distill": ("student",), "finetune": ("finetune",)}
"""Algorithms of each stage."""

NETWORK_OF_STUDENT = (
    *("actor_group", "actor_hidden", "activation", "memory", "memory_width", "normalize_obs"),
    *("min_std", "max_std", "init_std"),
)
"""Settings that fine-tuning takes over from the student."""


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
    agent: AgentCfg = field(default_factory=PpoCfg)
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


@dataclass
class PlayCfg:
    """Everything `play.py` accepts."""

    ckpt: str | None = None
    """Policy to play: a checkpoint file, a run's folder, `latest` or `best`; in MuJoCo also an exported `.onnx`."""
    replay: str | None = None
    """What a run left of a fault (`<run folder>/faults/*.pt`): it is gone through again without a policy."""
    task: TaskCfg = field(default_factory=TaskCfg)
    """The task to step without training; a checkpoint knows its own."""
    policy: str = "trained"
    """`trained` (of `ckpt`), or `zero` or `random`: actions that need no training."""
    backend: str | None = None
    """`mujoco` drives the exported policy in plain MuJoCo; null plays in the task's own environment."""
    evaluate: bool = True
    """Whether to run the grid of episodes."""
    video: bool = False
    """Whether to write `video.mp4`."""
    export: bool = False
    """Whether to write `export/policy.onnx` and what goes with it."""
    terrains: list[str] | None = None
    """Kinds of ground to evaluate on; null takes all."""
    levels: list[int] | None = None
    """Their levels; null takes the easiest, the middle and the hardest."""
    command: list[float] | None = None
    """vx, vy [m/s] and yaw rate [rad/s]; null takes several that cover forward, sideways and turning."""
    episodes: int | None = None
    """Episodes of each ground, level and command; null takes 1 on the CPU and 32 on a GPU."""
    metrics: list[str] | None = None
    """Columns of the table; null takes all."""
    steps: int | None = None
    """Control steps of an episode, of the video, or to run without a policy; null takes the task's, 250 and 500."""
    robots: int = 2
    """Robots in the video, 1 to 4."""
    seed: int = 1
    device: str = "auto"
    num_envs: int | None = None
    """Environments side by side; null takes 36 on the CPU and 1152 on a GPU."""
    run: RunCfg = field(default_factory=RunCfg)
    """`run.dir` takes the results; by default `play/<time>` in the folder of the checkpoint's run."""
    env: dict[str, Any] = field(default_factory=dict)
    """Overrides of the environment's own config object, on top of those in training and of play mode."""
