"""One worker process of a sweep: it keeps a few runs going and reports, prunes and finishes their trials."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from optuna.trial import TrialState

from rlmpc.run.stopping import REQUEUE_SIGNAL
from rlmpc.sweep.queue import Claimed, Queue
from rlmpc.sweep.run import STOPPED, TrialRun

POLL_S = 0.2
"""Seconds between two looks at the runs."""
READ_S = 2.0
"""Seconds between two looks at what a run has logged."""


class Stop(Protocol):
    """Whether somebody wants the worker to stop; see `rlmpc.run.stopping.StopSignals`."""

    received: signal.Signals | None


@dataclass
class Active:
    """A trial whose run goes on."""

    claimed: Claimed
    run: TrialRun
    read_s: float = 0.0
    """When its metrics were looked at last."""
    is_pruned: bool = False

    def report(self) -> dict[int, float]:
        """Tell Optuna what the run has logged since; return all of it, by iteration."""
        values = self.run.values()
        for step in sorted(step for step in values if step > self.claimed.reported):
            self.claimed.trial.report(values[step], step)
            self.claimed.reported = step
        return values


class Worker:
    """Works through the trials of a sweep until none is left or it is stopped.

    Args:
        queue: where trials come from.
        make_run: makes the run of a trial from its number and settings.
        places: one entry for each run that goes on at a time: the GPU that it sees, or None.
        say: called with one line for every event.
        stop: asked before every look.
    """

    def __init__(
        self,
        queue: Queue,
        make_run: Callable[[int, list[str]], TrialRun],
        places: Iterable[str | None],
        say: Callable[[str], None],
        stop: Stop,
    ) -> None:
        self._queue = queue
        self._make_run = make_run
        self._places = list(places)
        self._active: list[Active | None] = [None for _ in self._places]
        self._say = say
        self._stop = stop
        self.ended_with: int | None = None
        """Exit code of a run that was stopped from outside, after which the worker stops too; None if there is none."""

    def work(self) -> None:
        """Start, watch and finish runs; return once all have ended."""
        is_stopping = False
        while True:
            if not is_stopping and (self._stop.received is not None or self.ended_with is not None):
                is_stopping = True
                # Not the signal itself: a terminal sends Ctrl-C to the runs too, and a second one ends them at once.
                signum = REQUEUE_SIGNAL if self._stop.received == REQUEUE_SIGNAL else signal.SIGTERM
                for active in filter(None, self._active):
                    active.run.stop(signum)
            for place, gpu in enumerate(self._places):
                if not is_stopping and self._active[place] is None:
                    self._active[place] = self._begin(gpu)
            if not any(self._active):
                return
            time.sleep(POLL_S)
            self._active = [None if active is None or self._has_ended(active) else active for active in self._active]

    def _begin(self, gpu: str | None) -> Active | None:
        """Claim and start a trial; None if none is left."""
        claimed = self._queue.next()
        if claimed is None:
            return None
        active = Active(claimed, self._make_run(claimed.trial.number, claimed.settings))
        self._say(f"trial {claimed.trial.number}: {' '.join(claimed.settings)}")
        active.run.start(gpu)
        return active

    def _has_ended(self, active: Active) -> bool:
        """Look after a run; if it has ended, finish its trial or leave it."""
        code = active.run.code()
        if code is None:
            self._prune(active)
            return False
        values, trial, run = active.report(), active.claimed.trial, active.run
        if code == 0 and values:
            last = max(values)
            self._queue.finish(active.claimed, TrialState.COMPLETE, values[last])
            self._say(f"trial {trial.number}: {values[last]:.4g} after {last + 1} iterations, in {run.folder}")
        elif code in STOPPED and active.is_pruned:
            self._queue.finish(active.claimed, TrialState.PRUNED)
            self._say(f"trial {trial.number}: pruned after {active.claimed.reported + 1} iterations, in {run.folder}")
        elif code in STOPPED:
            self._queue.leave(active.claimed)
            self.ended_with = self.ended_with or code
        else:
            why = run.last_words() if code else "it has no value of the metric"
            self._queue.finish(active.claimed, TrialState.FAIL)
            self._say(f"trial {trial.number}: failed, {why} ({run.log})")
        return True

    def _prune(self, active: Active) -> None:
        """Stop a run that goes on if its trial is worse than others."""
        now_s = time.monotonic()
        if active.is_pruned or now_s < active.read_s + READ_S:
            return
        active.read_s = now_s
        if active.run.has_news() and active.report() and active.claimed.trial.should_prune():
            active.is_pruned = True
            active.run.stop()
