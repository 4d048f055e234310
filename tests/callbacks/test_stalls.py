from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from callbacks.stalls import LEVELS, RANGES, Known, Stalls, lowest_learning_rate, no_promotion

KNOWN = Known(episode_length_s=12.0, step_dt=0.02, promoting_speed=0.33, min_lr=1e-5)
STUCK = {
    f"{LEVELS}/arrived": 0.0,
    f"{LEVELS}/lasted": 0.001,
    f"{LEVELS}/stood": 0.1,
    f"{RANGES}/lin_vel_x": 0.8,
    f"{RANGES}/lin_vel_y": 0.1,
    "episode/fall_rate": 0.1,
    "episode/length": 60.0,
    "termination/time_out": 0.83,
    "termination/bad_orientation": 0.1,
}


def lines(after: int, *reports: dict[str, float], rank: int = 0) -> list[str]:
    """Gives the callback a report an iteration; returns what it printed."""
    text = io.StringIO()
    stalls = Stalls(after, KNOWN, Console(file=text, width=40, soft_wrap=True))
    trainer: Any = SimpleNamespace(is_global_zero=rank == 0)
    for iteration, numbers in enumerate(reports):
        report: Any = SimpleNamespace(iteration=iteration, numbers=numbers, weights={})
        stalls.on_report(trainer, report)
    return text.getvalue().splitlines()


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (
            {f"{RANGES}/lin_vel_x": 0.1},
            "every command is below the speed that promotes (at most 0.14 m/s, and only more than 0.33 m/s promote)",
        ),
        ({"episode/fall_rate": 0.93}, "93% of the episodes end in a fall, after 1.2 s of 12 s"),
        ({f"{LEVELS}/stood": 0.6}, "60% of the robots walk too little of the commanded distance"),
        ({}, "83% of the episodes end by time_out, without having followed the command far enough"),
    ],
)
def test_without_promotions_the_first_rule_that_explains_it_speaks(changed: dict[str, float], why: str):
    assert no_promotion(STUCK | changed, KNOWN) == f"hardly any robot was promoted: {why}"


def test_where_robots_are_promoted_or_there_are_no_levels_nothing_is_said():
    assert no_promotion(STUCK | {f"{LEVELS}/arrived": 0.2}, KNOWN) is None
    assert no_promotion({"episode/fall_rate": 1.0}, KNOWN) is None


def test_numbers_that_no_rule_knows_are_not_explained():
    assert no_promotion({f"{LEVELS}/arrived": 0.0}, Known(12.0, 0.02)) == (
        "hardly any robot was promoted: nothing explains it"
    )


def test_a_learning_rate_at_its_bound_is_named():
    assert lowest_learning_rate({"train/learning_rate": 1e-5, "train/kl": 0.05}, KNOWN) == (
        "the learning rate was at its lower bound agent.min_lr=1e-05: the policy changes by more than "
        "agent.desired_kl allows (KL 0.050)"
    )
    assert lowest_learning_rate({"train/learning_rate": 2e-5}, KNOWN) is None
    assert lowest_learning_rate({"train/learning_rate": 1e-5}, Known(12.0, 0.02)) is None


def test_a_line_comes_after_enough_iterations_and_again_while_it_lasts():
    assert [line.split(",")[0] for line in lines(3, *[STUCK] * 7)] == [
        "iteration 3: for 3 iterations",
        "iteration 6: for 3 iterations",
    ]


def test_a_promotion_in_between_is_no_stall():
    assert lines(3, STUCK, STUCK | {f"{LEVELS}/arrived": 0.2}, STUCK) == []


def test_other_ranks_are_silent():
    assert lines(1, STUCK, rank=1) == []
