"""What a worker does with its runs, which are made up here."""

from __future__ import annotations

import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from rlmpc.sweep import worker
from rlmpc.sweep.worker import Worker


class FakeRun:
    """A run that logs one value at every look, and ends when it has logged all or is stopped.

    Args:
        values: of the metric, by iteration.
        code: what it ends with.
    """

    def __init__(self, values: list[float], code: int = 0) -> None:
        self.folder, self.log = Path("run"), Path("run.txt")
        self._values, self._code, self._seen, self._is_stopped = values, code, 0, False

    def start(self, gpu: str | None) -> None:
        self.gpu = gpu

    def stop(self, signum: int = signal.SIGTERM) -> None:
        self._is_stopped, self.signum = True, signum

    def code(self) -> int | None:
        if self._is_stopped:
            return 128 + self.signum
        self._seen += 1
        return self._code if self._seen > len(self._values) else None

    def has_news(self) -> bool:
        return True

    def values(self) -> dict[int, float]:
        return dict(enumerate(self._values[: self._seen]))

    def last_words(self) -> str:
        return "out of luck"


@pytest.fixture
def work(opened, monkeypatch):
    """Works through as many trials as runs are given; gives the worker, the study and what was said."""
    monkeypatch.setattr(worker, "POLL_S", 0.0)
    monkeypatch.setattr(worker, "READ_S", 0.0)

    def through(*runs: FakeRun, places=(None,), stop=None, **settings):
        study, queue = opened(trials=len(runs), **settings)
        said: list[str] = []
        one = Worker(queue, lambda number, _: runs[number], places, said.append, stop or SimpleNamespace(received=None))
        one.work()
        return one, study, said

    return through


def test_a_trial_is_worth_what_its_run_came_to(work):
    _, study, said = work(FakeRun([1.0, 3.0]), FakeRun([2.0]))
    assert [(trial.state.name, trial.value) for trial in study.trials] == [("COMPLETE", 3.0), ("COMPLETE", 2.0)]
    assert study.trials[0].intermediate_values == {0: 1.0, 1: 3.0}
    assert said[0].startswith("trial 0: agent.learning_rate=")
    assert said[1] == "trial 0: 3 after 2 iterations, in run"


def test_a_run_that_is_worse_than_the_others_is_stopped(work):
    good = [FakeRun([1.0, 2.0, 3.0]) for _ in range(5)]
    _, study, said = work(*good, FakeRun([0.5] * 9), pruner="median", warmup=1)
    assert (study.trials[5].state.name, study.trials[5].intermediate_values) == ("PRUNED", {0: 0.5, 1: 0.5})
    assert said[-1] == "trial 5: pruned after 2 iterations, in run"


def test_a_run_that_fails_or_measures_nothing_is_no_reason_to_end(work):
    one, study, said = work(FakeRun([1.0], code=2), FakeRun([]), FakeRun([4.0]))
    assert [trial.state.name for trial in study.trials] == ["FAIL", "FAIL", "COMPLETE"]
    assert said[1] == "trial 0: failed, out of luck (run.txt)"
    assert said[3] == "trial 1: failed, it has no value of the metric (run.txt)"
    assert one.ended_with is None


@pytest.mark.parametrize(
    ("received", "sent"),
    [
        (signal.SIGTERM, signal.SIGTERM),
        # A terminal sends it to the runs as well, which a second one would end at once.
        (signal.SIGINT, signal.SIGTERM),
        # So that the runs requeue their SLURM job.
        (signal.SIGUSR1, signal.SIGUSR1),
    ],
)
def test_a_worker_that_is_stopped_stops_its_runs_and_leaves_their_trials(work, opened, received, sent):
    stop = SimpleNamespace(received=None)

    class Stopping(FakeRun):
        def values(self) -> dict[int, float]:
            stop.received = received
            return super().values()

    runs = [Stopping([1.0] * 9), FakeRun([2.0] * 9)]
    _, study, _ = work(*runs, places=("0", "1"), stop=stop)
    assert [run.signum for run in runs] == [sent, sent]
    assert [trial.state.name for trial in study.trials] == ["RUNNING", "RUNNING"]
    assert opened()[1].next().trial.number == 0


def test_a_worker_stops_with_a_run_that_was_stopped_from_outside(work):
    one, study, _ = work(FakeRun([1.0], code=138), FakeRun([2.0]))
    assert one.ended_with == 138
    assert [trial.state.name for trial in study.trials] == ["RUNNING"]


def test_as_many_runs_as_there_are_places_go_on_at_a_time_each_on_its_own(work):
    runs = [FakeRun([1.0, 1.0]) for _ in range(4)]
    work(*runs, places=("0", "1"))
    assert [run.gpu for run in runs] == ["0", "1", "0", "1"]
