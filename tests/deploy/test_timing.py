"""How well the loop keeps its time."""

from __future__ import annotations

from rlmpc.deploy.timing import Timing


def test_deadlines_and_percentiles_are_counted():
    timing = Timing(0.02)
    for step in range(100):
        due = 0.02 * step
        timing.add(due, due + 0.001, due + (0.025 if step in (50, 51) else 0.004))
    assert (timing.num_missed, timing.missed_in_a_row) == (2, 0)
    assert timing.lines() == [
        "100 steps of 20 ms; deadlines missed: 2",
        "  a step began late by p50 1.00 ms, p90 1.00 ms, p99 1.00 ms, at most 1.00 ms",
        "  and took p50 3.00 ms, p90 3.00 ms, p99 24.00 ms, at most 24.00 ms",
    ]
