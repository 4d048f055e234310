"""Makes the callbacks of a training run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from lightning.pytorch.callbacks import Callback
from rich.console import Console

from callbacks.artifacts import UploadedCheckpoints
from callbacks.checkpoint import IterationCheckpoint
from callbacks.console import ConsoleTable
from callbacks.evaluation import EvaluationLine, EvaluationTable
from callbacks.export import ExportPolicy
from callbacks.faults import FaultDump, FaultLimits
from callbacks.overflows import SolverOverflows
from callbacks.stalls import Known, Stalls
from callbacks.stop import StopBetweenIterations
from callbacks.throughput import Throughput
from callbacks.video import Videos
from rlmpc.checkpoint.file import command_ranges
from rlmpc.checkpoint.find import CHECKPOINTS
from rlmpc.config.train import TrainCfg
from rlmpc.envs.vec_env import VecEnv
from rlmpc.rollout.collector import Collector
from rlmpc.run.stopping import StopSignals
from rlmpc.run.tracking import SERVICES


def make_callbacks(
    cfg: TrainCfg,
    env: VecEnv,
    folder: Path,
    console: Console,
    collector: Collector,
    signals: StopSignals,
    seed: int,
) -> list[Callback]:
    """Return the callbacks of a run in the order in which they are called.

    The one that stops the run comes first, because others ask whether another iteration follows. The fault limits come
    after those that show and record faults, so that this is done before they end the run, and before the checkpoint,
    which is then not written. Lightning itself calls checkpoints last, and then what takes them up.

    Args:
        cfg: the run's config.
        env: of this process.
        folder: the run's folder.
        console: where the table is printed.
        collector: of this process.
        signals: the signals of this process.
        seed: of this process.
    """
    every, config, recorder = cfg.checkpoint.every, asdict(cfg), collector.recorder
    evaluated_every = None if collector.held_out is None else collector.held_out.every
    callbacks: list[Callback] = [
        StopBetweenIterations(signals),
        Throughput(env.num_envs * cfg.agent.num_steps),
        ConsoleTable(cfg.console.every, console),
        EvaluationLine(console),
        EvaluationTable(),
        SolverOverflows(),
    ]
    if cfg.console.stall_after is not None:
        known = Known(
            env.max_episode_length * env.step_dt, env.step_dt, env.promoting_speed, getattr(cfg.agent, "min_lr", None)
        )
        callbacks.append(Stalls(cfg.console.stall_after, known, console))
    if cfg.checkpoint.export:
        description = {
            "task": cfg.task.name,
            "algorithm": cfg.agent.algorithm,
            "contract": env.contract,
            "command_ranges": command_ranges(env.curriculum()),
        }
        callbacks.append(ExportPolicy(folder / "export", every, description))
    if recorder is not None:
        run = {"config": config, "num_envs": env.num_envs, "device": str(env.device), "seed": seed}
        callbacks.append(FaultDump(recorder, folder / "faults", cfg.faults.max_dumps, run))
    callbacks += [
        FaultLimits(cfg.faults.max_env_share, cfg.faults.max_skipped_updates, cfg.faults.max_skipped_share),
        IterationCheckpoint(folder / CHECKPOINTS, every, cfg.checkpoint.keep_last, config, evaluated_every),
    ]
    if cfg.checkpoint.upload != "none" and any(name in SERVICES for name in cfg.logger):
        callbacks.append(UploadedCheckpoints(folder / CHECKPOINTS, cfg.checkpoint.upload == "all"))
    if cfg.video.every is not None:
        callbacks.append(Videos(folder, cfg.video.every, cfg.video.steps))
    return callbacks
