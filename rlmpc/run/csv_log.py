"""`metrics.csv`, which goes on in a resumed run."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter

from rlmpc.checkpoint.write import write_whole


class ContinuedCSVLogger(CSVLogger):
    """Lightning's logger, but rows of earlier iterations that the folder holds stay.

    Args:
        folder: where `metrics.csv` lies.
        first_iteration: the first that is going to be logged; what the file says of it and later ones is dropped.
    """

    def __init__(self, folder: Path, first_iteration: int) -> None:
        super().__init__(folder, name="", version="", flush_logs_every_n_steps=1)
        self._first_iteration = first_iteration

    @property
    @rank_zero_experiment
    def experiment(self) -> ExperimentWriter:
        """What writes the file; made when it is first asked for."""
        if not isinstance(self._experiment, ExperimentWriter):
            self._experiment = _ContinuedWriter(self.log_dir, self._first_iteration)
        return self._experiment


class _ContinuedWriter(ExperimentWriter):
    def __init__(self, log_dir: str, first_iteration: int) -> None:
        self._first_iteration = first_iteration
        super().__init__(log_dir)

    def _check_log_dir_exists(self) -> None:
        """Keep the rows of earlier iterations, where Lightning deletes the file."""
        path = Path(self.metrics_file_path)
        if not path.is_file():
            return
        header, rows = _read(path)
        self.metrics_keys = header
        _write(path, header, [row for row in rows if int(row["step"]) < self._first_iteration])

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        path = Path(self.metrics_file_path)
        _write(path, fieldnames, _read(path)[1])


def _read(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Header and rows; a last row that was cut off is left out."""
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        # Metrics are sorted and "step" is none of the last, so a row that was cut off lacks a field.
        rows = [row for row in reader if None not in row.values()]
    return list(reader.fieldnames or []), rows


def _write(path: Path, header: list[str], rows: list[dict[str, str]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=header)
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue().encode())
