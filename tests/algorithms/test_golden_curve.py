"""Pins the numerics of the whole training path of every agent.

The run uses float64, so that other processors' orders of summation do not grow into another curve within 20 iterations.
After a change that is meant to change the numbers: `pytest tests/algorithms/test_golden_curve.py --write-golden`.
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch

NAMES = ("episode/return", "episode/length", "train/kl", "train/learning_rate", "train/noise_std", "loss/value")
RMA_NAMES = (*NAMES, "estimator/rmse_x", "latent/distance", "latent/cosine", "loss/history")


@pytest.fixture
def double_precision():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    ("agent", "names", "changes"),
    [("ppo", NAMES, {}), ("rma", RMA_NAMES, {"regularizer_start": 8, "regularizer_ramp": 4, "num_epochs": 2})],
)
def test_twenty_iterations_on_the_toy_env_follow_the_golden_curve(
    run_toy, double_precision, pytestconfig, agent, names, changes
):
    golden_file = Path(__file__).with_name(f"golden_{agent}.csv")
    _, _, reports = run_toy(20, seed=7, num_envs=32, agent=agent, **changes)
    curve = [[report.get(name, float("nan")) for name in names] for report in reports]
    if pytestconfig.getoption("--write-golden"):
        with golden_file.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([names, *curve])
    with golden_file.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert tuple(header) == names
    assert len(curve) == len(rows) == 20
    for iteration, (numbers, row) in enumerate(zip(curve, rows, strict=True)):
        golden = [float(text) for text in row]
        assert numbers == pytest.approx(golden, rel=1e-5, nan_ok=True), f"iteration {iteration}"
