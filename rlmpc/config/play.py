"""Everything that `play.py` accepts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rlmpc.config.seeds import MAX_PROCESS_SEED
from rlmpc.config.setting import MAX_ENVS, setting
from rlmpc.config.train import RunCfg, TaskCfg


@dataclass
class PlayCfg:
    """Everything `play.py` accepts."""

    ckpt: str | None = setting(None, path=True)
    """Policy to play: a checkpoint file, a run's folder, `latest` or `best`; in MuJoCo also an exported `.onnx`."""
    replay: str | None = setting(None, path=True)
    """A fault that a run recorded (`<run folder>/faults/*.pt`), to be replayed without a policy."""
    task: TaskCfg = field(default_factory=TaskCfg)
    """The task to step without a trained policy; a checkpoint knows its own."""
    policy: str = "trained"
    """`trained` (the policy in `ckpt`), or `zero` or `random` for actions that need no training."""
    backend: str | None = setting(None, choices=(None, "mujoco"), needs="ckpt")
    """`mujoco` drives the exported policy in plain MuJoCo; null plays in the task's own environment."""
    live: bool = setting(False, needs="ckpt")
    """Whether to show a page from which the robot is driven, instead of evaluating; docs/live.md."""
    beside: str | None = setting(None, path=True, needs="ckpt")
    """With `live`: a second policy, a teacher beside its student for example, named as in `ckpt`."""
    host: str = "127.0.0.1"
    """Address on which the page listens; the default can be reached from this machine only."""
    port: int = setting(8080, least=1, most=65535)
    """Port of the page."""
    evaluate: bool = True
    """Whether to evaluate a grid of episodes."""
    video: bool = setting(False, needs="ckpt")
    """Whether to write `video.mp4`."""
    export: bool = setting(False, needs="ckpt")
    """Whether to write `export/policy.onnx` and the files that belong to it."""
    publish: str | None = setting(None, path=True, needs="ckpt", excludes=("backend",))
    """Folder to publish the policy in: `policy.ckpt` (all it takes to play, to export, to teach and to start with it)
    and a card with the numbers of this evaluation, `README.md`."""
    terrains: list[str] | None = setting(None, needs="ckpt")
    """Kinds of ground to evaluate on; null takes all."""
    levels: list[int] | None = setting(None, distinct=True, needs="ckpt")
    """Their levels; null takes the easiest, the middle and the hardest."""
    command: list[float] | None = setting(None, needs="ckpt")
    """vx, vy [m/s] and yaw rate [rad/s]; null takes seven: forward at 0.3 to 1.0 m/s, sideways, turning, standing."""
    disturbed: bool = setting(False, needs="ckpt", excludes=("backend",))
    """Whether observations are as noisy as in training, and robots are pushed as there."""
    privileged: bool = setting(False, needs="ckpt", excludes=("backend", "publish"))
    """Whether the policy acts on what only the simulator knows, as in training; otherwise only on what a robot senses.
    What it exports acts as on a robot either way."""
    episodes: int | None = setting(None, least=1, largest=10_000, needs="ckpt")
    """Episodes of each ground, level and command; null takes 1 on the CPU and 32 on a GPU."""
    metrics: list[str] | None = setting(None, needs="ckpt")
    """Columns of the table; null takes all."""
    steps: int | None = setting(None, least=1, largest=10**7, excludes=("replay",))
    """Control steps of an episode, of the video, or of a run without a policy; null takes the task's, 250 and 500."""
    robots: int = setting(2, least=1, most=4)
    """Robots in the video."""
    seed: int = setting(1, least=0, most=MAX_PROCESS_SEED)
    """Of all that is drawn."""
    device: str = "auto"
    """`auto` (a GPU where there is one), `cpu`, `cuda` or `cuda:<index>`."""
    num_envs: int | None = setting(None, least=1, largest=MAX_ENVS, excludes=("replay",))
    """Environments side by side; null takes 63 on the CPU and 2016 on a GPU."""
    run: RunCfg = field(default_factory=RunCfg)
    """`run.dir` takes the results; by default `play/<time>` in the folder of the checkpoint's run."""
    env: dict[str, Any] = setting({}, excludes=("replay",))
    """Overrides of the environment's own config object, on top of those of training and of play mode."""
