"""Pins the numerics of the whole training path of every agent.

The run uses float64, so that other processors' orders of summation do not grow into another curve within 20 iterations.
After a change that is meant to change the numbers: `pytest tests/algorithms/test_golden_curve.py --write-golden`.
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.slow

NAMES = ("episode/return", "episode/length", "train/kl", "train/learning_rate", "train/noise_std", "loss/value")
RMA_NAMES = (*NAMES, "estimator/rmse_x", "latent/distance", "latent/cosine", "loss/history")
STUDENT_NAMES = (
    *("episode/return", "episode/length", "loss/imitation", "train/grad_norm", "train/noise_std"),
    *("dagger/teacher_share", "dagger/kept_share"),
)
PREDICTION_NAMES = (*STUDENT_NAMES, "loss/latent", "loss/velocity")
FINETUNE_NAMES = (*NAMES, "loss/surrogate", "train/grad_norm")


@pytest.fixture
def double_precision():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def follows_golden_curve(pytestconfig):
    """Asserts that the reports of 20 iterations are those in a file beside this one, or writes that file."""

    def check(name: str, names: tuple[str, ...], reports: list[dict[str, float]]) -> None:
        golden_file = Path(__file__).with_name(f"golden_{name}.csv")
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

    return check


@pytest.mark.parametrize(
    ("name", "names", "changes"),
    [
        ("ppo", NAMES, {}),
        ("ppo_clipped_together", NAMES, {"clip_gradients": "together"}),
        ("rma", RMA_NAMES, {"regularizer_start": 8, "regularizer_ramp": 4, "num_epochs": 2}),
    ],
)
def test_twenty_iterations_on_the_toy_env_follow_the_golden_curve(
    run_toy, double_precision, follows_golden_curve, name, names, changes
):
    _, _, reports = run_toy(20, seed=7, num_envs=32, agent=name.partition("_")[0], **changes)
    follows_golden_curve(name, names, reports)


def test_a_student_with_predictions_follows_the_golden_curve(
    double_precision, train_teacher, run_student, follows_golden_curve
):
    changes = {"predictions": {"latent": 0.7, "velocity": 0.3}, "beta_iterations": 8, "leave_out_steps": 4}
    _, _, reports = run_student(20, train_teacher("rma"), seed=7, **changes)
    follows_golden_curve("student", PREDICTION_NAMES, reports)


def test_a_student_with_a_memory_follows_the_golden_curve(
    double_precision, train_teacher, run_student, follows_golden_curve
):
    changes = {"memory": "gru", "loss": "kl", "beta_iterations": 8, "learning_rate": 1e-2}
    _, _, reports = run_student(20, train_teacher("ppo"), seed=7, **changes)
    follows_golden_curve("student_gru", STUDENT_NAMES, reports)


def test_fine_tuning_a_student_with_a_memory_follows_the_golden_curve(
    double_precision, train_teacher, run_student, make_finetune, fit, toy_world, follows_golden_curve
):
    student, _, _ = run_student(4, train_teacher("ppo"), seed=7, memory="gru", beta_iterations=2)
    _, learner = make_finetune(student=student, critic_warmup=4)
    _, reports = fit(learner, toy_world(7), 20)
    follows_golden_curve("finetune", FINETUNE_NAMES, reports)
