"""Refuses a sweep whose runs could not start, before anything is written."""

from __future__ import annotations

from collections.abc import Iterator

from rlmpc.command_line.arguments import read_train
from rlmpc.command_line.train import compose_train
from rlmpc.config.installed import is_installed
from rlmpc.config.train import TrainCfg
from rlmpc.errors import UserError
from rlmpc.run.tracking import check_services
from rlmpc.sweep.settings import EVALUATION, SweepCfg
from rlmpc.sweep.space import Space

OURS = ("sweep", "resume", "resume_allow_partial", "run.dir")
"""Settings of a run that its sweep determines."""


def check_optuna() -> None:
    """Refuse a sweep without Optuna.

    Raises:
        UserError: if it is not installed.
    """
    if not is_installed("optuna"):
        raise UserError("a sweep needs Optuna, which is not installed; pip install -e '.[sweep]' does that")


def sweep_file(arguments: list[str]) -> str | None:
    """Return the file that `sweep=FILE` names; None if the command is no sweep.

    Raises:
        UserError: if there is anything else beside it.
    """
    if not any(argument.partition("=")[0].strip() == "sweep" for argument in arguments):
        return None
    given = read_train(arguments)
    others = [key for key in given if key != "sweep"]
    if given["sweep"] is not None and others:
        raise UserError(f"'{others[0]}' beside 'sweep' has no effect; write it into 'arguments' of '{given['sweep']}'")
    return given["sweep"]


def check_runs(cfg: SweepCfg, space: Space) -> TrainCfg:
    """Refuse settings that the runs of a sweep do not take, and a metric that they do not have.

    Returns:
        The config of one of the runs.

    Raises:
        UserError: if there is one, with the sentence that a run would end with.
    """
    runs = composed_runs(cfg, space)
    check_services(runs[0])
    if any(run.env for run in runs):
        from rlmpc.envs.make import env_config

        for run in runs:
            env_config(run.task, run.env)
    return runs[0]


def composed_runs(cfg: SweepCfg, space: Space) -> list[TrainCfg]:
    """Compose runs in which every end of a range and every choice is tried with the first ones of all others.

    Raises:
        UserError: if one cannot be composed, apart from its `env.*`, or cannot be judged.
    """
    for key in (*read_train(cfg.arguments), *space):
        if key in OURS:
            raise UserError(f"'{key}' cannot be set in a sweep, which determines it for each of its runs")
    runs = [compose_train(arguments)[0] for arguments in _extremes(cfg, space)]
    for run in runs:
        _check_measured(cfg, run)
    return runs


def _extremes(cfg: SweepCfg, space: Space) -> Iterator[list[str]]:
    """Yield the arguments of runs at the ends of the space."""
    first = {key: entry.ends[0] for key, entry in space.items()}
    tried = [first, *({**first, key: end} for key, entry in space.items() for end in entry.ends[1:])]
    for values in tried:
        yield [*cfg.arguments, *(f"{key}={value}" for key, value in values.items())]


def _check_measured(cfg: SweepCfg, run: TrainCfg) -> None:
    """Refuse a run that leaves no numbers to judge it by, or takes several devices."""
    if "csv" not in run.logger:
        raise UserError(f"logger={run.logger} leaves no metrics.csv, by which a sweep judges its runs; add csv")
    if (devices := run.trainer.devices * run.trainer.num_nodes) > 1:
        raise UserError(f"a run of a sweep takes one device, but this one has {devices} processes")
    if cfg.metric in EVALUATION and _num_held_out(run) == 0:
        raise UserError(
            f"the metric '{cfg.metric}' needs environments that are held out of training: give evaluation.num_envs=8, "
            "or more; or take the metric episode/return"
        )


def _num_held_out(run: TrainCfg) -> int | None:
    """Return how many environments a run holds out; None if that depends on the task."""
    if run.evaluation.num_envs is not None:
        return run.evaluation.num_envs
    from rlmpc.run.device import resolve_device

    return None if resolve_device(run.device).type == "cuda" else 0
