"""Opens Optuna's study of a sweep: where its trials are stored, how they are drawn, and when they are pruned."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from rlmpc.errors import UserError
from rlmpc.sweep.settings import SweepCfg

JOURNAL = "trials.journal"
"""File in a sweep's folder that holds its trials."""


def open_storage(cfg: SweepCfg) -> BaseStorage:
    """Open what holds the trials of a sweep: a database, or a file in its folder, which is there.

    Raises:
        UserError: if the database cannot be used.
    """
    if cfg.storage is None:
        return JournalStorage(JournalFileBackend(str(cfg.place / JOURNAL)))
    try:
        return RDBStorage(cfg.storage)
    except Exception as error:
        # SQLAlchemy's errors, those of the driver that the URL names, or that there is no such driver.
        reason = str(error).splitlines()[0]
        raise UserError(f"the storage '{cfg.storage}' cannot be used: {reason}") from error


def open_study(cfg: SweepCfg, storage: BaseStorage) -> optuna.Study:
    """Open the study of a sweep, or make it."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(
        storage=storage,
        study_name=cfg.place.name,
        direction=StudyDirection[cfg.direction.upper()],
        sampler=SamplerOfTrials(cfg.sampler, cfg.seed),
        pruner=_pruner(cfg),
        load_if_exists=True,
    )


def _pruner(cfg: SweepCfg) -> BasePruner:
    if cfg.pruner == "median":
        return MedianPruner(n_warmup_steps=cfg.warmup)
    return SuccessiveHalvingPruner(min_resource=max(1, cfg.warmup)) if cfg.pruner == "halving" else NopPruner()


class SamplerOfTrials(BaseSampler):
    """Draws each setting of a trial with a generator of its own, which has no past.

    So a value depends on the seed, the trial's number and the setting; for `tpe` also on the finished trials.

    Args:
        kind: `random` or `tpe`.
        seed: of the sweep.
    """

    def __init__(self, kind: str, seed: int) -> None:
        self._kind = kind
        self._seed = seed

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return that each setting is drawn by itself."""
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: Mapping[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return nothing: each setting is drawn by itself."""
        return {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw one setting of a trial."""
        seed = zlib.crc32(f"{self._seed} {trial.number} {param_name}".encode())
        sampler = RandomSampler(seed) if self._kind == "random" else TPESampler(seed=seed)
        return sampler.sample_independent(study, trial, param_name, param_distribution)
