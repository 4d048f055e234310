"""`python train.py sweep=FILE`: from the file to the best command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlmpc.checkpoint.write import write_whole
from rlmpc.config.reading import shown
from rlmpc.config.train import TrainCfg
from rlmpc.errors import RunError, UserError
from rlmpc.run.folder import unwritable
from rlmpc.run.stopping import StopSignals, exit_code
from rlmpc.sweep.checks import check_optuna, check_runs
from rlmpc.sweep.settings import SweepCfg, read_sweep
from rlmpc.sweep.space import Space, read_space, suggested

if TYPE_CHECKING:
    import optuna

RECORD = "sweep.json"
"""File in a sweep's folder with its settings."""
MAY_CHANGE = ("trials", "workers", "folder", "storage")
"""Settings with which a sweep may go on."""
SPARE_S = 30.0
"""Seconds that a worker gives its runs to end beyond what they give themselves."""


def run_sweep(file: Path, say: Callable[[str], None]) -> None:
    """Work at the sweep in a file until no trial is left, and say which is best.

    Raises:
        UserError: if anything in the file does not fit, or the sweep in its folder has other settings; nothing is
            written.
        RunError: if no trial is complete.
        SystemExit: with the signal's exit code, if the sweep was stopped.
    """
    check_optuna()
    cfg = read_sweep(file)
    try:
        space = read_space(cfg.space)
        run = check_runs(cfg, space)
    except UserError as error:
        raise UserError(f"'{file}': {error}") from error
    places = places_for(cfg, run)
    study = _opened(cfg)
    say(f"sweep {cfg.place}: {cfg.trials} trials, {len(places)} at a time")
    _work(cfg, space, run, study, places, say)
    _report(cfg, space, study, say)


def places_for(cfg: SweepCfg, run: TrainCfg) -> list[str | None]:
    """Return the GPU that each of the runs at a time sees, by what CUDA_VISIBLE_DEVICES calls it; None for all."""
    gpus: list[str | None] = [None]
    if run.device in ("auto", "cuda"):
        import torch

        from rlmpc.run.device import visible_gpus

        gpus = [*visible_gpus(torch.cuda.device_count() if torch.cuda.is_available() else 0)] or gpus
    number = len(gpus) if cfg.workers is None else cfg.workers
    return [gpus[index % len(gpus)] for index in range(number)]


def _opened(cfg: SweepCfg) -> optuna.Study:
    """Open the study, the first time with a record of the sweep's settings; other workers may do the same.

    Raises:
        UserError: if the folder holds something else or cannot be written, the database cannot be used, or the sweep
            there has other settings.
    """
    from rlmpc.sweep.queue import locked
    from rlmpc.sweep.study import JOURNAL, open_storage, open_study

    folder = cfg.place
    record = folder / RECORD
    settings = {key: value for key, value in asdict(cfg).items() if key not in MAY_CHANGE}
    if record.exists():
        _check_same(settings, record)
    elif folder.exists() and any(not path.name.startswith((".", JOURNAL)) for path in folder.iterdir()):
        raise UserError(f"the folder '{folder}' is not empty and holds no sweep; choose another 'folder'")
    database = None if cfg.storage is None else open_storage(cfg)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    with locked(folder):
        study = open_study(cfg, open_storage(cfg) if database is None else database)
        if record.exists():
            _check_same(settings, record)
        else:
            if study.get_trials(deepcopy=False):
                raise UserError(f"the storage '{cfg.storage}' holds another sweep '{folder.name}'; rename the 'folder'")
            write_whole(record, (json.dumps(settings, indent=2) + "\n").encode())
    return study


def _check_same(settings: dict[str, Any], record: Path) -> None:
    """Refuse settings with which a sweep was not started."""
    started = json.loads(record.read_text())
    for key, value in settings.items():
        if value != started.get(key):
            raise UserError(
                f"the sweep in '{record.parent}' was started with another '{key}', {shown(started.get(key))}; choose "
                "another 'folder' for a new sweep"
            )


def _work(
    cfg: SweepCfg,
    space: Space,
    run: TrainCfg,
    study: optuna.Study,
    places: list[str | None],
    say: Callable[[str], None],
) -> None:
    """Work through the trials.

    Raises:
        SystemExit: if a signal has stopped this worker or one of its runs.
    """
    from rlmpc.sweep.queue import Queue
    from rlmpc.sweep.run import TrialRun
    from rlmpc.sweep.worker import Worker

    def make_run(number: int, settings: list[str]) -> TrialRun:
        return TrialRun(cfg.place / f"trial_{number}", [*cfg.arguments, *settings], cfg.metric, cfg.average)

    with StopSignals(run.trainer.stop_timeout_s + SPARE_S, say) as signals:
        signals.defer()
        worker = Worker(Queue(study, space, cfg.trials, cfg.place), make_run, places, say, signals)
        worker.work()
    if (received := signals.received) is not None or worker.ended_with is not None:
        say("stopped; the same command goes on with the sweep")
        raise SystemExit(worker.ended_with if received is None else exit_code(received))


def _report(cfg: SweepCfg, space: Space, study: optuna.Study, say: Callable[[str], None]) -> None:
    from optuna.trial import TrialState

    from rlmpc.sweep.report import PLOT, counts, plot
    from rlmpc.sweep.run import command_line

    complete, unfinished = (
        study.get_trials(deepcopy=False, states=(state,)) for state in (TrialState.COMPLETE, TrialState.RUNNING)
    )
    say(counts(study) + "; other workers have those that are unfinished" * bool(unfinished))
    if not complete and unfinished:
        return
    if not complete:
        raise RunError(f"no trial is complete; what each run printed is in '{cfg.place}/trial_*.txt'")
    best = study.best_trial
    plot(cfg.place / PLOT, study, space, cfg.metric)
    say(f"best: trial {best.number} with {cfg.metric} = {best.value:.4g}; plot: {cfg.place / PLOT}")
    say(command_line([*cfg.arguments, *suggested(space, best)]))
