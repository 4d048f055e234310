"""Hands the trials of a sweep to its workers, each to one of them, on one machine or on several that share a folder."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import optuna
from optuna.trial import Trial, TrialState

from rlmpc.checkpoint.write import NOT_OFFERED
from rlmpc.errors import RunError
from rlmpc.sweep.space import Space, suggested


@dataclass
class Claimed:
    """A trial that belongs to this worker until it is given back or the worker has ended."""

    trial: Trial
    settings: list[str]
    """What it tries, as arguments of `train.py`."""
    reported: int
    """Last iteration whose value Optuna knows; -1 if it knows none."""
    claim: TextIO
    """File that is locked as long as the worker lives; the kernel unlocks it however that ends."""


class Queue:
    """The trials of a sweep.

    A trial that runs, but is claimed by nobody, was left by a worker that was stopped or killed. It is handed out
    again before new ones.

    Args:
        study: that the trials belong to.
        space: what they try.
        total: number of trials.
        folder: the sweep's.
    """

    def __init__(self, study: optuna.Study, space: Space, total: int, folder: Path) -> None:
        self._study = study
        self._space = space
        self._total = total
        self._folder = folder

    def next(self) -> Claimed | None:
        """Claim a trial; None if none is left.

        Raises:
            RunError: if the file system offers no locks.
        """
        with locked(self._folder):
            for frozen in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                if (claim := self._claim(frozen.number)) is not None:
                    # Optuna has no other way to go on with a trial that another process has begun.
                    trial, reported = Trial(self._study, frozen._trial_id), max(frozen.intermediate_values, default=-1)
                    return Claimed(trial, suggested(self._space, trial), reported, claim)
            if len(self._study.get_trials(deepcopy=False)) >= self._total:
                return None
            trial = self._study.ask()
            claim = self._claim(trial.number)
            assert claim is not None
            return Claimed(trial, suggested(self._space, trial), -1, claim)

    def finish(self, claimed: Claimed, state: TrialState, value: float | None = None) -> None:
        """Write down how a trial has ended, and its value if it is complete."""
        with locked(self._folder):
            self._study.tell(claimed.trial, value, state)
            claimed.claim.close()

    def leave(self, claimed: Claimed) -> None:
        """Leave a trial to whoever goes on with it."""
        claimed.claim.close()

    def _claim(self, number: int) -> TextIO | None:
        """Lock a trial; None if another worker has it."""
        file = (self._folder / f".trial_{number}.lock").open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        return file


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other workers of a sweep waiting while the body runs.

    Raises:
        RunError: if the file system offers no locks.
    """
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in NOT_OFFERED:
                raise
            raise RunError(
                f"the file system of '{folder}' offers no locks ({error.strerror}), by which workers know of each "
                "other; choose another 'folder'"
            ) from error
        yield
