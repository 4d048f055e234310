from __future__ import annotations

from pathlib import Path

import pytest

from rlmpc.errors import UserError
from rlmpc.run.csv_log import CsvLog


def log(folder: Path, first: int, *numbers: dict[str, float]) -> list[str]:
    logger = CsvLog(folder, first)
    for step, row in enumerate(numbers, start=first):
        logger.log_metrics(row, step=step)
    return (folder / "metrics.csv").read_text().splitlines()


def test_rows_of_earlier_iterations_stay_as_they_are_and_later_ones_go(tmp_path: Path):
    log(tmp_path, 0, {"z": 0.1}, {"z": 1 / 3}, {"z": 2.0}, {"z": 3.0})
    assert log(tmp_path, 2, {"z": 9.0}) == ["step,z", "0,0.1", "1,0.3333333333333333", "2,9.0"]


def test_a_row_that_was_cut_off_is_dropped(tmp_path: Path):
    log(tmp_path, 0, {"a": 1.0, "z": 0.1}, {"a": 1.0, "z": 0.2})
    path = tmp_path / "metrics.csv"
    path.write_text(path.read_text()[:-5])
    assert path.read_text().splitlines()[-1] == "1.0,1"
    assert log(tmp_path, 1, {"a": 2.0, "z": 5.0}) == ["a,step,z", "1.0,0,0.1", "2.0,1,5.0"]


def test_a_new_column_keeps_what_was_written(tmp_path: Path):
    log(tmp_path, 0, {"z": 0.1})
    assert log(tmp_path, 1, {"b": 4.0, "z": 0.2}) == ["b,step,z", ",0,0.1", "4.0,1,0.2"]


def test_a_folder_without_a_file_gets_one(tmp_path: Path):
    assert log(tmp_path, 3, {"z": 0.5}) == ["step,z", "3,0.5"]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"z\n0.1\n", "'step' should be one of its columns"),
        (b"step,step,z\n0,1,0.1\n", "'step' should be one of its columns"),
        (b"step,z\nmany,0.1\n", "row 2 has 'many' as its 'step'"),
        (b"step,z\n0,0.1\n-1,0.1\n", "row 3 has '-1' as its 'step'"),
        (b"step,z\n0,0.1,7\n", "row 2"),
        (b"\xff\xfe\x00", "it is no table"),
        (b"step,z\n0," + b"9" * 200_000 + b"\n", "it is no table"),
    ],
)
def test_a_file_that_was_changed_is_refused_before_anything_is_logged(tmp_path: Path, data: bytes, sentence: str):
    path = tmp_path / "metrics.csv"
    path.write_bytes(data)
    with pytest.raises(UserError, match=sentence) as caught:
        CsvLog(tmp_path, 1)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == data
