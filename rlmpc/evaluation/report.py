"""Writes an evaluation to files, and shows it as a table."""

from __future__ import annotations

import csv
import json
import math
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from rlmpc.contract.episode import Episode
from rlmpc.errors import UserError
from rlmpc.evaluation.metrics import METRICS, check_metrics, summarise, totals
from rlmpc.evaluation.plots import plot_falls, plot_success, plot_tracking

PLOTS = {"success.png": plot_success, "tracking.png": plot_tracking, "falls.png": plot_falls}
FILES = ("evaluation.json", "evaluation.csv", *PLOTS)

_UNLIMITED = 10_000
"""Width that no table has."""


def check_folder(folder: Path) -> None:
    """Make the folder if need be, and refuse one that cannot take a report; call it before anything is run.

    Raises:
        UserError: if the folder holds a file of an earlier report or cannot be written to.
    """
    for name in FILES:
        if (folder / name).exists():
            raise UserError(f"'{folder / name}' exists already and is not overwritten; name another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f"the report cannot be written to '{folder}': {error.strerror}") from error


def write_report(folder: Path, episodes: Sequence[Episode], header: Mapping[str, Any]) -> None:
    """Write `FILES`.

    Args:
        folder: where to write; made if need be.
        episodes: measured episodes, at least one.
        header: further information as plain data: the policy, the task, the seed; a non-finite number becomes null.

    Raises:
        UserError: as `check_folder`, before anything is written.
    """
    check_folder(folder)
    with (folder / "evaluation.csv").open("w", newline="") as file:
        rows = [_flat(episode) for episode in episodes]
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    report = {
        "header": dict(header),
        "metrics": METRICS,
        "totals": totals(episodes),
        "rows": summarise(episodes),
    }
    (folder / "evaluation.json").write_text(json.dumps(_finite(report), indent=2, allow_nan=False) + "\n")
    for name, plot in PLOTS.items():
        plot(folder / name, episodes)


def table(episodes: Sequence[Episode], metrics: Iterable[str] = METRICS) -> Table:
    """Make a table with a row for every kind of ground, level and command, and the totals below.

    Raises:
        UserError: for an unknown metric.
    """
    metrics = list(metrics)
    check_metrics(metrics)
    shown = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("terrain", "level", "command", "episodes", *metrics, "ended by"):
        justify = "left" if name in ("terrain", "command", "ended by") else "right"
        shown.add_column(name.replace("_", "\n"), justify=justify)
    for row in summarise(episodes):
        place = (row["terrain"], str(row["level"]), _spaced(row["command"]))
        shown.add_row(*place, *_cells(row, metrics))
    shown.add_section()
    shown.add_row("all", "", "", *_cells(totals(episodes), metrics))
    return shown


def print_whole(console: Console, shown: Table) -> None:
    """Print a table, wider than the terminal if need be, which rich would shorten."""
    shown.width = Measurement.get(console, console.options.update(max_width=_UNLIMITED), shown).maximum
    console.print(shown, soft_wrap=True)


def _cells(row: Mapping[str, Any], metrics: Iterable[str]) -> list[str]:
    numbers = ["-" if row[name] is None else f"{row[name]:.3g}" for name in metrics]
    return [str(row["episodes"]), *numbers, ", ".join(f"{reason} {n}" for reason, n in row["reasons"].items())]


def _flat(episode: Episode) -> dict[str, Any]:
    """Flatten an episode to one row of a table; its command and velocity become numbers separated by spaces."""
    row = asdict(episode)
    trial = row.pop("trial")
    spaced = {"command": _spaced(trial["command"]), "velocity": _spaced(episode.velocity)}
    return {**trial, "success": episode.success, **row, **spaced, "followed": episode.followed}


def _spaced(command: Iterable[float]) -> str:
    return " ".join(f"{number:g}" for number in command)


def _finite(value: Any) -> Any:
    """Replace numbers that JSON does not have by None: the numbers of a diverging policy can be infinite."""
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
