"""Train a policy: `python train.py stage=teacher task=blind_rl`, then `stage=distill teacher_ckpt=PATH`.

Everything else is a dotted override, for example `num_envs=1024 agent.gamma=0.98 env.episode_length_s=20`;
`python train.py list=true` lists tasks, stages and agents.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy
from rich.console import Console

from callbacks.checkpoint import IterationCheckpoint
from callbacks.console import ConsoleTable
from callbacks.export import ExportPolicy
from callbacks.throughput import Throughput
from rlmpc.checkpoint import load_checkpoint
from rlmpc.config.agent_checks import check_minibatches, check_observations
from rlmpc.config.checks import check_new_folder, check_train
from rlmpc.config.compose import compose_train, list_choices
from rlmpc.config.schema import FinetuneCfg, StudentCfg, TrainCfg
from rlmpc.envs.launch import global_rank, resolve_device
from rlmpc.envs.make import env_config, make_env, num_envs_for, observation_terms
from rlmpc.envs.vec_env import VecEnv
from rlmpc.errors import UserError, run_command
from rlmpc.learners.base import OnPolicyLearner
from rlmpc.learners.make import make_distill_learner, make_finetune_learner, make_learner
from rlmpc.policies import check_checkpoint, restore_teacher
from rlmpc.rollout.collector import Collector
from rlmpc.rollout.datamodule import RolloutDataModule
from rlmpc.rollout.teacher_check import check_teacher, take_over_curriculum
from rlmpc.run_folder import create_run_folder, remove_run_folder, run_folder


def main(arguments: list[str]) -> None:
    """Compose the config, refuse what cannot run, start the environment, train."""
    console = Console(soft_wrap=True, highlight=False)
    if arguments == ["list=true"]:
        console.print(list_choices())
        return
    cfg = compose_train(arguments)
    check_train(cfg)
    device = resolve_device(cfg.device, cfg.trainer.devices)
    num_envs = num_envs_for(cfg.task, cfg.num_envs, device)
    check_minibatches(num_envs, cfg.agent)
    env_cfg = env_config(cfg.task, cfg.env)
    terms = observation_terms(cfg.task, env_cfg)
    check_observations(cfg.agent, cfg.task.name, terms)
    rank = global_rank(cfg.trainer.devices)
    folder = run_folder(cfg)
    if rank == 0:
        check_new_folder(folder)
        create_run_folder(folder, cfg)
        console.print(f"run folder {folder}")
    seed = L.seed_everything(cfg.seed + rank, verbose=False)
    log_file = folder / "simulator.log" if rank == 0 else None
    value_group = getattr(cfg.agent, "critic_group", cfg.agent.actor_group)
    env = make_env(cfg.task, env_cfg, num_envs, device, seed, value_group, log_file, console.print)
    try:
        try:
            learner = build_learner(cfg, env, console.print if rank == 0 else lambda line: None)
        except UserError:
            if rank == 0:
                remove_run_folder(folder)
            raise
        fit(cfg, learner, env, folder, console)
    finally:
        env.close()


def build_learner(cfg: TrainCfg, env: VecEnv, report: Callable[[str], None]) -> OnPolicyLearner:
    """The learner of the stage, with what it takes over from another run's checkpoint."""
    agent = cfg.agent
    if isinstance(agent, StudentCfg):
        teacher = load_checkpoint(Path(cfg.teacher_ckpt or ""))
        policy = restore_teacher(teacher)
        check_checkpoint(teacher, env.contract, (*policy.acting_groups, agent.actor_group))
        evaluation = check_teacher(env, policy.to(env.device), teacher, cfg.teacher_check_steps, report)
        return make_distill_learner(agent, env.contract, teacher, evaluation)
    if isinstance(agent, FinetuneCfg):
        student = load_checkpoint(Path(cfg.student_ckpt or ""))
        check_checkpoint(student, env.contract, (agent.actor_group,))
        take_over_curriculum(env, student)
        return make_finetune_learner(agent, env.contract, student)
    return make_learner(agent, env.contract)


def fit(cfg: TrainCfg, learner: OnPolicyLearner, env: VecEnv, folder: Path, console: Console) -> None:
    """Train in `env` and leave everything that is worth keeping in `folder`."""
    agent = cfg.agent
    collector = Collector(env, agent.num_steps, agent.stagger_episodes)
    trainer = L.Trainer(
        accelerator="gpu" if env.device.type == "cuda" else "cpu",
        devices=_devices(cfg, env),
        num_nodes=cfg.trainer.num_nodes,
        strategy=_strategy(cfg, learner),
        max_epochs=cfg.trainer.max_epochs,
        logger=_loggers(cfg.logger, folder),
        callbacks=_callbacks(cfg, env, folder, console),
        enable_progress_bar=False,
        enable_model_summary=False,
        inference_mode=False,
        use_distributed_sampler=False,
    )
    trainer.fit(learner, datamodule=RolloutDataModule(env, collector))


def _num_processes(cfg: TrainCfg) -> int:
    return cfg.trainer.devices * cfg.trainer.num_nodes


def _strategy(cfg: TrainCfg, learner: OnPolicyLearner) -> DDPStrategy | str:
    """Normalizers are merged by the learner, so buffers are not broadcast."""
    if _num_processes(cfg) == 1:
        return "auto"
    return DDPStrategy(broadcast_buffers=False, find_unused_parameters=learner.find_unused_parameters)


def _devices(cfg: TrainCfg, env: VecEnv) -> int | list[int]:
    """One process: exactly the environment's GPU. Several: as many as asked for, each with the GPU of its rank."""
    if env.device.type == "cuda" and _num_processes(cfg) == 1:
        return [env.device.index or 0]
    return cfg.trainer.devices


def _callbacks(cfg: TrainCfg, env: VecEnv, folder: Path, console: Console) -> list[Callback]:
    every = cfg.checkpoint.every
    callbacks: list[Callback] = [
        Throughput(env.num_envs * cfg.agent.num_steps),
        ConsoleTable(cfg.console.every, console),
        IterationCheckpoint(folder / "checkpoints", every, cfg.checkpoint.keep_last, asdict(cfg)),
    ]
    if cfg.checkpoint.export:
        ranges = (env.state_dict().get("terms") or {}).get("base_velocity")
        description = {
            "task": cfg.task.name,
            "algorithm": cfg.agent.algorithm,
            "contract": env.contract,
            "command_ranges": ranges,
        }
        callbacks.append(ExportPolicy(folder / "export", every, description))
    return callbacks


def _loggers(names: list[str], folder: Path) -> list[Logger]:
    makers = {
        "tensorboard": lambda: TensorBoardLogger(folder, name="", version=""),
        "csv": lambda: CSVLogger(folder, name="", version="", flush_logs_every_n_steps=1),
    }
    return [makers[name]() for name in names]


if __name__ == "__main__":
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for category in (UserWarning, FutureWarning, DeprecationWarning):
        warnings.filterwarnings("ignore", category=category, module=r"lightning\.")
    run_command(main)
