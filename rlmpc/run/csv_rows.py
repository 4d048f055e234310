"""Reads the rows of `metrics.csv`, also while a run appends to it."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from rlmpc.contract.schema import shown
from rlmpc.errors import UserError

METRICS = "metrics.csv"
"""File in a run's folder with the numbers of every iteration."""


def read_rows(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Return the columns and rows of a file, none without one; an incomplete last row is left out.

    Raises:
        UserError: if it is no table with a column of iterations.
    """
    if not path.is_file():
        return [], []
    try:
        with path.open(newline="") as file:
            reader = csv.DictReader(file)
            # Columns are sorted and "step" is not the last of them, so an incomplete row lacks a field.
            rows = [row for row in reader if None not in row.values()]
    except (OSError, UnicodeError, csv.Error) as error:
        raise UserError(f"'{path}' cannot be continued: it is no table ({error})") from error
    columns = list(reader.fieldnames or [])
    if columns and columns.count("step") != 1:
        raise UserError(f"'{path}' cannot be continued: 'step' should be one of its columns, once")
    for number, row in enumerate(rows, start=2):
        if None in row or not re.fullmatch("[0-9]{1,15}", row["step"]):
            raise UserError(f"'{path}' cannot be continued: row {number} has {shown(row['step'])} as its 'step'")
    return columns, rows
