from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

from rich.console import Console

from callbacks.evaluation import EvaluationLine

RESULT = {
    "evaluation/success": 0.75,
    "evaluation/falls": 0.125,
    "evaluation/followed": 0.8,
    "evaluation/success/stairs_up": 0.5,
    "evaluation/success/random_boxes": 1.0,
}


def lines(*reports: dict[str, float], rank: int = 0) -> list[str]:
    text = io.StringIO()
    shown = EvaluationLine(Console(file=text, width=40, soft_wrap=True))
    trainer: Any = SimpleNamespace(is_global_zero=rank == 0)
    for iteration, numbers in enumerate(reports):
        report: Any = SimpleNamespace(iteration=iteration, numbers=numbers)
        shown.on_report(trainer, report)
    return text.getvalue().splitlines()


def test_an_iteration_that_ends_an_evaluation_gets_a_line():
    assert lines({"episode/return": 1.0}, RESULT) == [
        "iteration 2: evaluation: 75% succeeded (stairs_up 50%, random_boxes 100%), 12% fell, "
        "80% of the command was followed"
    ]


def test_on_a_single_kind_of_ground_it_is_not_repeated_and_other_ranks_are_silent():
    one = {name: value for name, value in RESULT.items() if not name.endswith("boxes")}
    assert lines(one) == ["iteration 1: evaluation: 75% succeeded, 12% fell, 80% of the command was followed"]
    assert lines(one, rank=1) == []
