"""Train a policy: `python train.py stage=teacher task=blind_rl`, then `stage=distill teacher_ckpt=PATH`.

Everything else is a dotted override, for example `num_envs=1024 agent.gamma=0.98 env.episode_length_s=20`;
`python train.py list=true` lists tasks, stages and agents.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy
from rich.console import Console

from callbacks.checkpoint import IterationCheckpoint
from callbacks.console import ConsoleTable
from callbacks.export import ExportPolicy
from callbacks.fault_limits import FaultLimits
from callbacks.faults import FaultDump
from callbacks.stop import StopBetweenIterations
from callbacks.throughput import Throughput
from rlmpc.algorithms.table import ALGORITHMS
from rlmpc.checkpoint.file import Checkpoint, load_checkpoint
from rlmpc.checkpoint.find import checkpoints_by_age
from rlmpc.checkpoint.write import AtomicCheckpointIO
from rlmpc.command_line.agent_checks import check_minibatches, check_observations
from rlmpc.command_line.checks import check_train
from rlmpc.command_line.compose import compose_train, list_choices
from rlmpc.command_line.resume import changes
from rlmpc.config.train import TrainCfg
from rlmpc.envs.launch import resolve_device
from rlmpc.envs.make import env_config, make_deterministic, make_env, num_envs_for, observation_terms
from rlmpc.envs.vec_env import VecEnv
from rlmpc.learners.base import OnPolicyLearner
from rlmpc.rollout.collector import Collector
from rlmpc.rollout.datamodule import RolloutDataModule
from rlmpc.rollout.faults import FaultRecorder
from rlmpc.rollout.resume import resume_run, say_resume
from rlmpc.run.command import run_command
from rlmpc.run.csv_log import ContinuedCSVLogger
from rlmpc.run.folder import CHECKPOINTS, recorded_run, run_folder
from rlmpc.run.processes import end_with_launcher, global_rank, is_requeued
from rlmpc.run.stopping import StopSignals, end_stopped_run

COLLECTIVE_TIMEOUT = timedelta(minutes=10)
"""How long GPUs wait for a process that does not answer. The first start on a machine compiles for minutes."""


def main(arguments: list[str]) -> None:
    """Compose the config, refuse what cannot run, start the environment, train."""
    console = Console(soft_wrap=True, highlight=False)
    if arguments == ["list=true"]:
        console.print(list_choices())
        return
    cfg = compose_train(arguments)
    if cfg.resume is None and is_requeued() and checkpoints_by_age(run_folder(cfg) / CHECKPOINTS):
        cfg = compose_train([f"resume={run_folder(cfg)}"])
    check_train(cfg)
    resumed = None if cfg.resume is None else load_checkpoint(Path(cfg.resume))
    device = resolve_device(cfg.device, cfg.trainer.devices)
    num_envs = num_envs_for(cfg.task, cfg.num_envs, device)
    check_minibatches(num_envs, cfg.agent)
    env_cfg = env_config(cfg.task, cfg.env)
    check_observations(cfg.agent, cfg.task.name, observation_terms(cfg.task, env_cfg))
    folder = run_folder(cfg)
    rank = global_rank(cfg.trainer.devices)
    say = console.print if rank == 0 else lambda line: None
    end_with_launcher()
    with StopSignals(cfg.trainer.stop_timeout_s, say) as signals, ExitStack() as stack:
        record = folder
        if rank == 0:
            record = stack.enter_context(recorded_run(cfg, folder, resumed))
            console.print(f"run folder {folder}")
        seed = L.seed_everything(cfg.seed + rank, verbose=False)
        if cfg.deterministic:
            make_deterministic(env_cfg)
        value_group = getattr(cfg.agent, "critic_group", cfg.agent.actor_group)
        log_file = record / "simulator.log" if rank == 0 else None
        env = make_env(cfg.task, env_cfg, num_envs, device, seed, value_group, log_file, console.print)
        stack.callback(env.close)
        fit(cfg, env, resumed, folder, console, rank, signals)
    if signals.stopped_by is not None:
        end_stopped_run(signals.stopped_by, folder, say, rank)


def build_learner(
    cfg: TrainCfg, env: VecEnv, resumed: Checkpoint | None, say: Callable[[str], None]
) -> OnPolicyLearner:
    """The learner of the stage, with what it takes over from another run's checkpoint."""
    learner = ALGORITHMS[cfg.agent.algorithm].learner()
    if resumed is not None:
        return learner.resume(cfg.agent, env.contract, resumed)
    path = cfg.teacher_ckpt or cfg.student_ckpt
    return learner.start(cfg.agent, env, None if path is None else load_checkpoint(Path(path)), say)


def fit(
    cfg: TrainCfg,
    env: VecEnv,
    resumed: Checkpoint | None,
    folder: Path,
    console: Console,
    rank: int,
    signals: StopSignals,
) -> None:
    """Train in `env`, from the start or from where a run was left, and leave all that is worth keeping in `folder`."""
    say = console.print if rank == 0 else lambda line: None
    learner = build_learner(cfg, env, resumed, say)
    recorder = FaultRecorder() if cfg.faults.dump else None
    collector = Collector(env, cfg.agent.num_steps, cfg.agent.stagger_episodes, recorder)
    datamodule = RolloutDataModule(env, collector, cfg.checkpoint.env_state == "full")
    if resumed is not None:
        parts = resume_run(resumed, datamodule, rank, num_processes(cfg), cfg.resume_allow_partial)
        say_resume(parts, changes(resumed, cfg), resumed, say)
    trainer = L.Trainer(
        accelerator="gpu" if env.device.type == "cuda" else "cpu",
        devices=_devices(cfg, env),
        num_nodes=cfg.trainer.num_nodes,
        strategy=_strategy(cfg, learner),
        plugins=[AtomicCheckpointIO()],
        max_epochs=cfg.trainer.max_epochs,
        logger=_loggers(cfg.logger, folder, 0 if resumed is None else resumed.iteration),
        callbacks=[
            StopBetweenIterations(signals),
            *_callbacks(cfg, env, folder, console),
            *_fault_callbacks(cfg, env, folder, recorder, cfg.seed + rank),
        ],
        # Not the current folder: Lightning would take up what an earlier SLURM job may have left there.
        default_root_dir=folder,
        enable_progress_bar=False,
        enable_model_summary=False,
        inference_mode=False,
        use_distributed_sampler=False,
    )
    trainer.fit(learner, datamodule=datamodule, ckpt_path=None if resumed is None else resumed.path, weights_only=True)


def num_processes(cfg: TrainCfg) -> int:
    """Of all machines."""
    return cfg.trainer.devices * cfg.trainer.num_nodes


def _strategy(cfg: TrainCfg, learner: OnPolicyLearner) -> DDPStrategy | str:
    """Normalizers are merged by the learner, so buffers are not broadcast."""
    if num_processes(cfg) == 1:
        return "auto"
    return DDPStrategy(
        broadcast_buffers=False, find_unused_parameters=learner.find_unused_parameters, timeout=COLLECTIVE_TIMEOUT
    )


def _devices(cfg: TrainCfg, env: VecEnv) -> int | list[int]:
    """One process: exactly the environment's GPU. Several: as many as asked for, each with the GPU of its rank."""
    if env.device.type == "cuda" and num_processes(cfg) == 1:
        return [env.device.index or 0]
    return cfg.trainer.devices


def _callbacks(cfg: TrainCfg, env: VecEnv, folder: Path, console: Console) -> list[Callback]:
    every = cfg.checkpoint.every
    callbacks: list[Callback] = [
        Throughput(env.num_envs * cfg.agent.num_steps),
        ConsoleTable(cfg.console.every, console),
        IterationCheckpoint(folder / CHECKPOINTS, every, cfg.checkpoint.keep_last, asdict(cfg)),
    ]
    if cfg.checkpoint.export:
        ranges = (env.curriculum().get("terms") or {}).get("base_velocity")
        description = {
            "task": cfg.task.name,
            "algorithm": cfg.agent.algorithm,
            "contract": env.contract,
            "command_ranges": ranges,
        }
        callbacks.append(ExportPolicy(folder / "export", every, description))
    return callbacks


def _fault_callbacks(
    cfg: TrainCfg, env: VecEnv, folder: Path, recorder: FaultRecorder | None, seed: int
) -> list[Callback]:
    """The limits come last: what led to a stop is to be on file by then."""
    callbacks: list[Callback] = []
    if recorder is not None:
        run = {"config": asdict(cfg), "num_envs": env.num_envs, "device": str(env.device), "seed": seed}
        callbacks.append(FaultDump(recorder, folder / "faults", cfg.faults.max_dumps, run))
    return [*callbacks, FaultLimits(cfg.faults.max_env_share, cfg.faults.max_skipped_updates)]


def _loggers(names: list[str], folder: Path, first_iteration: int) -> list[Logger]:
    makers = {
        # What an interrupted run logged after its last checkpoint is logged again.
        "tensorboard": lambda: TensorBoardLogger(folder, name="", version="", purge_step=first_iteration or None),
        "csv": lambda: ContinuedCSVLogger(folder, first_iteration),
    }
    return [makers[name]() for name in names]


if __name__ == "__main__":
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for category in (UserWarning, FutureWarning, DeprecationWarning):
        warnings.filterwarnings("ignore", category=category, module=r"lightning\.")
    run_command(main)
