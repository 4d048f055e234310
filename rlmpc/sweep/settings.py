"""Everything that the file of a sweep may hold, with type and meaning."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlmpc.checkpoint.summary import SUCCESS
from rlmpc.command_line.files import read_mapping
from rlmpc.config.fill import fill
from rlmpc.config.setting import check_settings, setting
from rlmpc.config.train import RunCfg
from rlmpc.errors import UserError

EVALUATION = (SUCCESS, "evaluation/followed", "evaluation/falls")
"""Metrics of the environments that are held out of training."""
METRICS = (*EVALUATION, "episode/return", "episode/length", "episode/falls_per_minute")


@dataclass
class SweepCfg:
    """Everything that the file of a sweep may hold."""

    space: dict[str, Any] = field(default_factory=dict)
    """What is searched: a setting of `train.py`, by its dotted name -> `{float: [low, high]}` or `{int: [low, high]}`,
    either with `log: true` for steps of equal ratios, or `{choice: [a, b]}`."""
    arguments: list[str] = field(default_factory=list)
    """What all runs have in common, as it is typed after `python train.py`."""
    trials: int = setting(20, least=1, largest=100_000)
    """Runs in total. A larger number later on adds to those that there are."""
    metric: str = setting(SUCCESS, choices=METRICS)
    """Column of `metrics.csv` that tells how good a run is."""
    average: int = setting(1, least=1)
    """How many of its last values are averaged."""
    direction: str = setting("maximize", choices=("maximize", "minimize"))
    sampler: str = setting("random", choices=("random", "tpe"))
    """`random`: a trial's settings depend on `seed` and its number alone. `tpe` learns from the trials that have
    finished, so with several workers they depend on timing."""
    seed: int = setting(1, least=0, most=2**32 - 1)
    """Of the sampler. Runs have their own, in `arguments`."""
    pruner: str | None = setting(None, choices=(None, "median", "halving"))
    """Stops runs early that are worse than the median of the others at the same iteration, or than three in four of
    them (successive halving)."""
    warmup: int = setting(0, least=0)
    """Iterations before which no run is stopped."""
    workers: int | None = setting(None, least=1, largest=1024)
    """Runs side by side of one command; null takes one on every GPU, and one on the CPU."""
    folder: str | None = setting(None, path=True)
    """Folder of the sweep and its runs; by default `logs/sweeps/<name of the file>`."""
    storage: str | None = None
    """URL of a database for Optuna, such as `postgresql://user@host/name`; null takes a file in the folder."""

    @property
    def place(self) -> Path:
        """The sweep's folder."""
        assert self.folder is not None
        return Path(self.folder)


def read_sweep(path: Path) -> SweepCfg:
    """Read the file of a sweep.

    Raises:
        UserError: if it cannot be read or is no such YAML, a key is unknown or a value is not accepted.
    """
    cfg = SweepCfg(folder=str(Path(RunCfg().root) / "sweeps" / path.stem))
    tree = read_mapping(path, f"'{path}'")
    try:
        fill(cfg, tree)
        check_settings(cfg)
    except UserError as error:
        raise UserError(f"'{path}': {error}") from error
    if cfg.folder is None:
        raise UserError(f"'{path}': 'folder' is null; leave it out for the default")
    return cfg
