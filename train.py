"""Train a policy: `python train.py stage=teacher task=blind_rl`, then `stage=distill teacher_ckpt=PATH`.

Everything else is a dotted override, for example `num_envs=1024 agent.gamma=0.98 env.episode_length_s=20`;
`python train.py list=true` lists tasks, stages and agents.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from rlmpc.checkpoint.file import Checkpoint, load_checkpoint
from rlmpc.checkpoint.find import checkpoints_by_age
from rlmpc.command_line.agent_checks import check_minibatches, check_observations
from rlmpc.command_line.checks import check_train
from rlmpc.command_line.compose import compose_train, list_choices
from rlmpc.command_line.resume import changes
from rlmpc.config.train import TrainCfg
from rlmpc.run.command import run_command
from rlmpc.run.folder import CHECKPOINTS, recorded_run, run_folder
from rlmpc.run.processes import end_with_launcher, global_rank, is_requeued, local_rank
from rlmpc.run.stopping import StopSignals, end_stopped_run

# What takes seconds to import (torch, Lightning, Isaac Lab) is imported below, once the arguments are known to be good.
if TYPE_CHECKING:
    from collections.abc import Callable

    from rlmpc.envs.vec_env import VecEnv
    from rlmpc.learners.base import OnPolicyLearner


def main(arguments: list[str]) -> None:
    """Compose the config, refuse what cannot run, train."""
    console = Console(soft_wrap=True, highlight=False)
    if arguments == ["list=true"]:
        console.print(list_choices())
        return
    cfg, opened = compose(arguments)
    if cfg.resume is None and is_requeued() and checkpoints_by_age(run_folder(cfg) / CHECKPOINTS):
        cfg, opened = compose([f"resume={run_folder(cfg)}"])
    check_train(cfg)
    train(cfg, opened, console)


def train(cfg: TrainCfg, opened: Checkpoint | None, console: Console) -> None:
    """Start the environment and learn in it; all that is worth keeping goes to the run's folder."""
    import lightning as L

    from callbacks.make import make_callbacks
    from rlmpc.envs.launch import resolve_device
    from rlmpc.envs.make import env_config, make_deterministic, make_env, num_envs_for, observation_terms
    from rlmpc.rollout.collector import Collector
    from rlmpc.rollout.datamodule import RolloutDataModule
    from rlmpc.rollout.faults import FaultRecorder
    from rlmpc.rollout.resume import resume_run, say_resume
    from rlmpc.run.trainer import make_trainer, num_processes, quiet_lightning

    quiet_lightning()
    device = resolve_device(cfg.device, cfg.trainer.devices, local_rank())
    num_envs = num_envs_for(cfg.task, cfg.num_envs, device)
    env_cfg = env_config(cfg.task, cfg.env)
    check_minibatches(num_envs, cfg.agent)
    check_observations(cfg.agent, cfg.task.name, observation_terms(cfg.task, env_cfg))

    folder, rank = run_folder(cfg), global_rank(cfg.trainer.devices)
    resumed = opened if cfg.resume is not None else None
    say = console.print if rank == 0 else lambda line: None
    end_with_launcher()
    with StopSignals(cfg.trainer.stop_timeout_s, say) as signals, ExitStack() as stack:
        record = stack.enter_context(recorded_run(cfg, folder, resumed)) if rank == 0 else None
        say(f"run folder {folder}")
        seed = L.seed_everything(cfg.seed + rank, verbose=False)
        if cfg.deterministic:
            make_deterministic(env_cfg)
        value_group = getattr(cfg.agent, "critic_group", cfg.agent.actor_group)
        log_file = None if record is None else record / "simulator.log"
        env = make_env(cfg.task, env_cfg, num_envs, device, seed, value_group, log_file, say)
        stack.callback(env.close)
        learner = build_learner(cfg, env, opened, say)
        recorder = FaultRecorder() if cfg.faults.dump else None
        collector = Collector(env, cfg.agent.num_steps, cfg.agent.stagger_episodes, recorder)
        datamodule = RolloutDataModule(env, collector, cfg.checkpoint.env_state == "full")
        if resumed is not None:
            parts = resume_run(resumed, datamodule, rank, num_processes(cfg.trainer), cfg.resume_allow_partial)
            say_resume(parts, changes(resumed, cfg), resumed, say)
        callbacks = make_callbacks(cfg, env, folder, console, recorder, signals, seed)
        trainer = make_trainer(cfg, folder, callbacks, device, resumed, learner.find_unused_parameters)
        restored = None if resumed is None else resumed.path
        trainer.fit(learner, datamodule=datamodule, ckpt_path=restored, weights_only=True)
    if signals.stopped_by is not None:
        end_stopped_run(signals.stopped_by, folder, say, rank)


def compose(arguments: list[str]) -> tuple[TrainCfg, Checkpoint | None]:
    """The config, and the checkpoint that it goes on from or builds upon."""
    cfg = compose_train(arguments)
    path = cfg.resume or cfg.teacher_ckpt or cfg.student_ckpt
    return cfg, None if path is None else load_checkpoint(Path(path))


def build_learner(cfg: TrainCfg, env: VecEnv, opened: Checkpoint | None, say: Callable[[str], None]) -> OnPolicyLearner:
    """The learner of the stage, with what it takes over from another run's checkpoint."""
    from rlmpc.algorithms.finetune.settings import FinetuneCfg
    from rlmpc.algorithms.make import make_distill_learner, make_finetune_learner, make_learner, make_resumed_learner
    from rlmpc.algorithms.policies import check_checkpoint, restore_teacher
    from rlmpc.algorithms.student.settings import StudentCfg
    from rlmpc.algorithms.student.teacher_check import check_teacher, take_over_curriculum

    agent = cfg.agent
    if opened is None:
        return make_learner(agent, env.contract)
    if cfg.resume is not None:
        return make_resumed_learner(agent, env.contract, opened)
    if isinstance(agent, StudentCfg):
        policy = restore_teacher(opened)
        check_checkpoint(opened, env.contract, (*policy.acting_groups, agent.actor_group))
        evaluation = check_teacher(env, policy.to(env.device), opened, cfg.teacher_check_steps, say)
        return make_distill_learner(agent, env.contract, opened, evaluation)
    assert isinstance(agent, FinetuneCfg)
    check_checkpoint(opened, env.contract, (agent.actor_group,))
    take_over_curriculum(env, opened)
    return make_finetune_learner(agent, env.contract, opened)


if __name__ == "__main__":
    run_command(main)
