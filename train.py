"""Train a policy: `python train.py stage=teacher task=blind_rl`, then `stage=distill teacher_ckpt=PATH`.

Everything else is a dotted override, for example `num_envs=1024 agent.gamma=0.98 env.episode_length_s=20`;
`python train.py list=true` lists tasks, stages and agents.

Examples:
  python train.py task=toy                                a point mass, solved on a laptop in seconds
  python train.py task=phase_1_scan_rl agent=rma seed=3   another task, another agent
  python train.py stage=distill teacher_ckpt=latest       a student, from the newest teacher
  python train.py resume=latest trainer.max_epochs=2000   go on with a run
  python train.py config=RUN/config.yaml seed=4           the same settings again, with another seed
  python train.py sweep=conf/sweep/toy.yaml               many runs that look for the best settings
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlmpc.algorithms.table import ALGORITHMS
from rlmpc.checkpoint.file import Checkpoint
from rlmpc.command_line.again import goes_on
from rlmpc.command_line.resume import FinishedError, changes
from rlmpc.command_line.train import Opened, compose_train
from rlmpc.command_line.usage import answer
from rlmpc.config.compare import Change, config_changes
from rlmpc.config.seeds import process_seed
from rlmpc.config.train import TrainCfg
from rlmpc.run.command import run_command
from rlmpc.run.folder import recorded_run
from rlmpc.run.launcher_variables import srun_hint
from rlmpc.run.output import PlainConsole
from rlmpc.run.processes import check_place, end_with_launcher, global_rank, is_requeued, local_rank
from rlmpc.run.stopping import StopSignals, end_stopped_run
from rlmpc.run.tracking import check_services
from rlmpc.sweep.checks import sweep_file

if TYPE_CHECKING:
    import torch

    from rlmpc.envs.vec_env import VecEnv
    from rlmpc.learners.base import OnPolicyLearner
    from rlmpc.rollout.datamodule import RolloutDataModule


def main(arguments: list[str]) -> None:
    """Compose the config, refuse what cannot run, and train."""
    if (text := answer(arguments, __doc__ or "", TrainCfg())) is not None:
        print(text)
        return
    console = PlainConsole()
    if (file := sweep_file(arguments)) is not None:
        from rlmpc.sweep.command import run_sweep

        run_sweep(Path(file), console.print)
        return
    try:
        cfg, opened = compose_train(goes_on(arguments) or arguments)
    except FinishedError as finished:
        if not is_requeued():
            raise
        console.print(f"nothing is left to do: {finished}")
        return
    check_place(cfg.trainer.devices, cfg.trainer.num_nodes)
    console.quiet = global_rank(cfg.trainer.devices) != 0
    if not console.quiet:
        check_services(cfg)
    end_with_launcher()
    if (hint := srun_hint()) is not None:
        console.print(hint)
    with StopSignals(cfg.trainer.stop_timeout_s, console.print) as signals:
        train(cfg, arguments, opened, console, signals)


def train(cfg: TrainCfg, arguments: list[str], opened: Opened, console: PlainConsole, signals: StopSignals) -> None:
    """Start the environment and learn in it; all results go to the run's folder."""
    # These imports (torch, Lightning) take seconds; by now the arguments are known to be good.
    import lightning as L

    from callbacks.make import make_callbacks
    from rlmpc.envs.changes import hidden_changes
    from rlmpc.envs.make import make_env, num_envs_for
    from rlmpc.evaluation.held_out_trials import make_held_out
    from rlmpc.rollout.collector import Collector
    from rlmpc.rollout.datamodule import RolloutDataModule
    from rlmpc.rollout.faults import FaultRecorder
    from rlmpc.run.checkpoint_io import check_progress
    from rlmpc.run.device import resolve_device
    from rlmpc.run.trainer import make_trainer, num_processes, quiet_lightning

    quiet_lightning()
    device = resolve_device(cfg.device, cfg.trainer.devices, local_rank())
    num_envs = num_envs_for(cfg.task, cfg.num_envs, device)
    resumed = opened.resumed
    saved, env_cfg = env_configs(cfg, resumed or opened.origin)
    check_sizes(cfg, env_cfg, num_envs, device)

    rank, say = global_rank(cfg.trainer.devices), console.print
    seed = process_seed(cfg.seed, rank, num_processes(cfg.trainer))
    env_changes = [] if resumed is None else config_changes(saved, env_cfg)
    hidden = hidden_changes(env_changes, env_cfg)
    with ExitStack() as stack:
        made = stack.enter_context(recorded_run(cfg, arguments, resumed)) if rank == 0 else None
        # The first process chooses the folder; where another one writes, it asks that one.
        folder = Path() if made is None else made.path
        say(f"run folder {folder}")
        L.seed_everything(seed, verbose=False)
        choose_kernels(cfg, env_cfg)
        value_group = getattr(cfg.agent, "critic_group", cfg.agent.actor_group)
        log_file = None if made is None else made.record / "simulator.log"
        env = make_env(cfg.task, env_cfg, num_envs, device, seed, value_group, log_file, say)
        stack.callback(env.close)

        recorder = FaultRecorder() if cfg.faults.are_recorded(device.type) else None
        held_out = make_held_out(cfg.evaluation, env, cfg.agent.num_steps)
        collector = Collector(env, cfg.agent.num_steps, cfg.agent.stagger_episodes, recorder, held_out)
        datamodule = RolloutDataModule(env, collector, cfg.checkpoint.env_state == "full")
        if resumed is None:
            learner = start(cfg, opened, env, say)
        else:
            learner = resume(cfg, resumed, datamodule, rank, env_changes, hidden, say)
        callbacks = make_callbacks(cfg, env, folder, console, collector, signals, seed)
        trainer = make_trainer(cfg, folder, callbacks, device, resumed)
        if resumed is not None:
            check_progress(resumed, trainer)
        trainer.fit(learner, datamodule=datamodule, ckpt_path=resumed and resumed.path, weights_only=True)
    if signals.stopped_by is not None:
        end_stopped_run(signals.stopped_by, folder, say, rank)


def check_sizes(cfg: TrainCfg, env_cfg: Any, num_envs: int, device: torch.device) -> None:
    """Refuse numbers of environments and observations that the agent or the device cannot take."""
    from rlmpc.envs.make import observation_terms
    from rlmpc.rollout.memory_footprint import check_memory

    cfg.agent.check_minibatches(num_envs)
    cfg.evaluation.num_held_out(num_envs, device.type)
    terms = observation_terms(cfg.task, env_cfg)
    cfg.agent.check_task(terms, cfg.task.name)
    check_memory(cfg.agent, terms, num_envs, device, cfg.trainer.devices)


def start(cfg: TrainCfg, opened: Opened, env: VecEnv, say: Callable[[str], None]) -> OnPolicyLearner:
    """Make the learner of a new run, and say with whose weights it starts."""
    from rlmpc.algorithms.restore import take_over_policy

    learner = ALGORITHMS[cfg.agent.algorithm].learner().start(cfg.agent, env, opened.origin, say)
    if (init := opened.init) is not None:
        take_over_policy(learner, init, env.contract)
        task = init.config["task"]["name"]
        say(f"starts with the weights of '{init.path}': {init.algorithm} on {task}, iteration {init.iteration}")
    return learner


def choose_kernels(cfg: TrainCfg, env_cfg: Any) -> None:
    """Set up how a GPU computes: how precisely, in recorded graphs or not, and whether the same in every run."""
    import torch

    from rlmpc.envs.make import make_deterministic
    from rlmpc.graphs import use_graphs

    torch.set_float32_matmul_precision(cfg.matmul_precision)
    use_graphs(cfg.cuda_graphs and not cfg.deterministic)
    if cfg.deterministic:
        make_deterministic(env_cfg)


def env_configs(cfg: TrainCfg, checkpoint: Checkpoint | None) -> tuple[Any, Any]:
    """Return the config objects of the environment that a checkpoint was saved with, and of the one to be started."""
    from rlmpc.envs.make import env_config

    # First the saved one, so that a message names the file if its overrides are what does not fit.
    saved = {} if checkpoint is None else checkpoint.config["env"]
    there = env_config(cfg.task, saved, source=None if checkpoint is None else checkpoint.path)
    return there, env_config(cfg.task, cfg.env)


def resume(
    cfg: TrainCfg,
    checkpoint: Checkpoint,
    datamodule: RolloutDataModule,
    rank: int,
    env_changes: list[Change],
    hidden: list[str],
    say: Callable[[str], None],
) -> OnPolicyLearner:
    """Restore learner, rollout and environments of a run, and say what was restored and what changes."""
    from rlmpc.rollout.resume import resume_run, say_resume
    from rlmpc.run.trainer import num_processes

    learner_class = ALGORITHMS[cfg.agent.algorithm].learner()
    learner = learner_class.resume(cfg.agent, datamodule.env.contract, checkpoint)
    parts = resume_run(checkpoint, datamodule, rank, num_processes(cfg.trainer), cfg.resume_allow_partial, hidden)
    say_resume(parts, changes(checkpoint, cfg, env_changes), checkpoint, say)
    return learner


if __name__ == "__main__":
    run_command(main)
