import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from callbacks.console import ROWS_PER_HEADER, ConsoleTable

REPORT = {
    "perf/steps_per_s": 1234.0,
    "episode/return": 1.5,
    "episode/falls_per_minute": 0.25,
    "train/learning_rate": 1e-3,
}


@pytest.fixture
def run_table():
    """Feeds the table one report an iteration; gives the lines it printed."""

    def run(iterations: int, every: int, reports=lambda iteration: REPORT, weights=lambda iteration: {}) -> list[str]:
        text = io.StringIO()
        table = ConsoleTable(every, Console(file=text, width=40, soft_wrap=True))
        trainer = SimpleNamespace(current_epoch=0, max_epochs=iterations, should_stop=False, is_global_zero=True)
        table.on_train_start(trainer, None)
        for iteration in range(iterations):
            trainer.current_epoch = iteration
            report = SimpleNamespace(iteration=iteration, numbers=reports(iteration), weights=weights(iteration))
            table.on_report(trainer, report)
        return text.getvalue().splitlines()

    return run


def test_a_row_comes_every_interval_and_after_the_last_iteration(run_table):
    header, *rows = run_table(iterations=7, every=3)
    assert header.split()[:3] == ["iteration", "steps/s", "ETA"]
    assert [row.split()[0] for row in rows] == ["3/7", "6/7", "7/7"]


def test_a_row_shows_the_numbers_and_a_dash_for_what_was_not_seen(run_table):
    header, row = run_table(iterations=1, every=1)
    shown = cells(header, row)
    assert (shown["steps/s"], shown["return"], shown["falls/min"], shown["lr"]) == ("1234", "1.50", "0.25", "1.0e-03")
    assert shown["level"] == "-"
    assert len(header) == len(row)


def cells(header: str, row: str) -> dict[str, str]:
    return dict(zip(header.replace("v error", "error").split()[1:], row.split()[1:], strict=True))


def test_a_number_that_was_not_observed_since_the_last_row_is_a_dash(run_table):
    header, *rows = run_table(2, 1, lambda i: REPORT if i == 0 else {"perf/steps_per_s": 1.0})
    assert [cells(header, row)["return"] for row in rows] == ["1.50", "-"]


def test_a_row_weighs_all_that_was_observed_since_the_last_one(run_table):
    """Falls by the time they were counted in, speed by the time the steps took, others by episodes."""
    number = {"perf/steps_per_s": 100.0, "episode/falls_per_minute": 6.0, "episode/return": 1.0}
    other = {"perf/steps_per_s": 400.0, "episode/falls_per_minute": 0.0}
    header, first, second = run_table(
        4,
        2,
        lambda i: number if i % 2 == 0 else other,
        lambda i: {"perf/steps_per_s": 2.0 - i % 2, "episode/falls_per_minute": 1.0 + i, "episode/return": 3.0},
    )
    shown = [cells(header, row) for row in (first, second)]
    assert [row["steps/s"] for row in shown] == ["200", "200"]
    # 6 falls in 1 minute, none in 2; then 18 in 3 and none in 4.
    assert [row["falls/min"] for row in shown] == ["2.00", "2.57"]
    assert [row["return"] for row in shown] == ["1.00", "1.00"]


def test_episodes_that_are_cut_short_do_not_hide_falls(run_table):
    """One of a hundred episodes fell, but all were short: a share of 1 % is many falls a minute."""
    header, row = run_table(1, 1, lambda i: REPORT | {"episode/fall_rate": 0.01, "episode/falls_per_minute": 9.0})
    assert "falls/min" in header
    assert cells(header, row)["falls/min"] == "9.00"


def test_the_header_comes_again(run_table):
    lines = run_table(iterations=ROWS_PER_HEADER + 1, every=1)
    assert sum("iteration" in line for line in lines) == 2


@pytest.mark.parametrize(("key", "shown", "hidden"), [("loss/imitation", "imitation", "KL"), ("train/kl", "KL", "imi")])
def test_only_columns_of_this_kind_of_learning_are_shown(run_table, key: str, shown: str, hidden: str):
    header = run_table(1, 1, lambda i: {"perf/steps_per_s": 1.0, key: 0.5})[0]
    assert shown in header and hidden not in header


def test_iterations_with_faults_get_a_line_and_others_do_not(run_table):
    faults = {1: {"fault/envs": 0.0125}, 2: {"fault/skipped_updates": 3.0}, 4: {"fault/envs": 0.0}}
    lines = run_table(6, every=100, reports=lambda iteration: REPORT | faults.get(iteration, {}))
    assert lines[:2] == [
        "iteration 2: 1.25% of environments restarted, 0 updates skipped",
        "iteration 3: 0.00% of environments restarted, 3 updates skipped",
    ]
    assert len(lines) == 2 + 2
