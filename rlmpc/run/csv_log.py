"""`metrics.csv`: a row for every iteration, continued by a resumed run."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from rlmpc.checkpoint.write import write_whole
from rlmpc.run.csv_rows import METRICS, read_rows


class CsvLog(Logger):
    """Writes every iteration's numbers to `metrics.csv` at once. Columns are sorted; new ones may come at any time.

    Args:
        folder: folder of `metrics.csv`.
        first_iteration: the first iteration to be logged; rows of it and later ones are dropped from the file.

    Raises:
        UserError: if there is a file that this class has not written.
    """

    def __init__(self, folder: Path, first_iteration: int) -> None:
        super().__init__()
        self._path = folder / METRICS
        self._first_iteration = first_iteration
        self._columns: list[str] | None = None
        self._check()

    @property
    def name(self) -> None:
        """None: the folder has the run's name."""

    @property
    def version(self) -> None:
        """None: a folder holds one run."""

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Do nothing: `config.yaml` has them all."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append a row; `step` is the iteration."""
        if self._columns is None:
            self._columns = self._drop_later_rows()
        row = {**metrics, "step": step}
        if not row.keys() <= set(self._columns):
            _, rows = read_rows(self._path)
            self._columns = sorted({*self._columns, *row})
            write_whole(self._path, _text(self._columns, rows, header=True).encode())
        with self._path.open("a", newline="") as file:
            file.write(_text(self._columns, [row]))

    @rank_zero_only
    def _check(self) -> None:
        """Refuse a file that could not be continued, before anything is computed."""
        read_rows(self._path)

    def _drop_later_rows(self) -> list[str]:
        """Keep only the rows of earlier iterations; return the columns, none without a file."""
        columns, rows = read_rows(self._path)
        if columns:
            earlier = [row for row in rows if int(row["step"]) < self._first_iteration]
            write_whole(self._path, _text(columns, earlier, header=True).encode())
        return columns


def _text(columns: list[str], rows: Iterable[Mapping[str, Any]], header: bool = False) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=columns)
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
