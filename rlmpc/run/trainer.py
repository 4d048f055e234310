"""Lightning's Trainer as this project uses it: one iteration is one epoch of one batch, logged and saved by us."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from rlmpc.checkpoint.file import Checkpoint
from rlmpc.config.train import TrainCfg, TrainerCfg
from rlmpc.run.checkpoint_io import AtomicCheckpointIO
from rlmpc.run.gathering import GatheringDDPStrategy
from rlmpc.run.launcher_variables import launcher_name
from rlmpc.run.loggers import make_loggers
from rlmpc.run.processes import cluster_environment, global_rank

COLLECTIVE_TIMEOUT = timedelta(minutes=10)
"""How long GPUs wait for a process that does not respond. The first start on a machine compiles for minutes."""


def quiet_lightning() -> None:
    """Silence Lightning's messages at every start; importing Lightning sets its own log level."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for category in (UserWarning, FutureWarning, DeprecationWarning):
        warnings.filterwarnings("ignore", category=category, module=r"lightning\.")


def make_trainer(
    cfg: TrainCfg,
    folder: Path,
    callbacks: Sequence[Callback],
    device: torch.device,
    resumed: Checkpoint | None,
) -> L.Trainer:
    """Return the Trainer of a run.

    Args:
        cfg: the run's config.
        folder: the run's folder, where its loggers write.
        callbacks: in the order in which they are called.
        device: of this process.
        resumed: the checkpoint that the run resumes from.
    """
    is_first = global_rank(cfg.trainer.devices) == 0
    return L.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=_devices(cfg.trainer, device),
        num_nodes=cfg.trainer.num_nodes,
        strategy=_strategy(cfg.trainer),
        plugins=[AtomicCheckpointIO(resumed), cluster_environment(launcher_name())],
        max_epochs=cfg.trainer.max_epochs,
        logger=make_loggers(cfg, folder, 0 if resumed is None else resumed.iteration) if is_first else [],
        callbacks=list(callbacks),
        # Not the current folder: Lightning would pick up files that an earlier SLURM job may have left there.
        default_root_dir=folder,
        enable_progress_bar=False,
        enable_model_summary=False,
        inference_mode=False,
        use_distributed_sampler=False,
    )


def num_processes(cfg: TrainerCfg) -> int:
    """Return the number of processes on all machines."""
    return cfg.devices * cfg.num_nodes


def _strategy(cfg: TrainerCfg) -> GatheringDDPStrategy | str:
    """Return the strategy for one or several processes."""
    return "auto" if num_processes(cfg) == 1 else GatheringDDPStrategy(timeout=COLLECTIVE_TIMEOUT)


def _devices(cfg: TrainerCfg, device: torch.device) -> int | list[int]:
    """Return the GPU of the environment for one process, or the number of devices, one GPU for each rank."""
    if device.type == "cuda" and num_processes(cfg) == 1:
        return [device.index or 0]
    return cfg.devices
