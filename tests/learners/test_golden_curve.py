"""Pins the numerics of the whole training path.

The run uses float64, so that other processors' orders of summation do not grow into another curve within 20 iterations.
After a change that is meant to change the numbers: `pytest tests/learners/test_golden_curve.py --write-golden`.
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch

GOLDEN = Path(__file__).with_name("golden_curve.csv")
NAMES = ("episode/return", "episode/length", "train/kl", "train/learning_rate", "train/noise_std", "loss/value")


@pytest.fixture
def double_precision():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_twenty_iterations_on_the_toy_env_follow_the_golden_curve(run_toy, double_precision, pytestconfig):
    _, _, reports = run_toy(20, seed=7)
    curve = [[report.get(name, float("nan")) for name in NAMES] for report in reports]
    if pytestconfig.getoption("--write-golden"):
        with GOLDEN.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([NAMES, *curve])
    with GOLDEN.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert tuple(header) == NAMES
    assert len(curve) == len(rows) == 20
    for iteration, (numbers, row) in enumerate(zip(curve, rows, strict=True)):
        golden = [float(text) for text in row]
        assert numbers == pytest.approx(golden, rel=1e-5, nan_ok=True), f"iteration {iteration}"
