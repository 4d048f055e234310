"""Measures whether and how fast the toy task is solved: `python benchmarks/toy.py agent=ppo` trains seeds 1, 2 and 3.

Solved: the curriculum is at its top (mean level at least 3.5 of 4) and the mean distance to the target over an
episode's second half is below 0.2 m. Takes arguments of `train.py`, for example one `seed`; prints one JSON line a seed
and exits with 1 if one did not solve it. `run_s` is the whole run, without imports.
"""

from __future__ import annotations

import csv
import io
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import train
from benchmarks.harness import Clock, print_line, quiet_lightning
from rlmpc.run.command import run_command

SEEDS = (1, 2, 3)
MIN_LEVEL = 3.5
MAX_ERROR_M = 0.2


def solved_at(rows: list[dict[str, str]]) -> int | None:
    """Return the first iteration, counted from 1, that reaches both marks; None if there is none."""
    for iteration, row in enumerate(rows, start=1):
        error = row["command/target_error"]
        if error and float(error) < MAX_ERROR_M and float(row["curriculum/level"]) >= MIN_LEVEL:
            return iteration
    return None


def curve(*arguments: str) -> list[dict[str, str]]:
    """Train with these arguments of `train.py` and return the rows of `metrics.csv`."""
    with tempfile.TemporaryDirectory() as folder:
        with redirect_stdout(io.StringIO()):
            train.main([*arguments, f"run.dir={folder}/run"])
        with (Path(folder) / "run/metrics.csv").open(newline="") as file:
            return list(csv.DictReader(file))


def main(arguments: list[str]) -> None:
    """Train every seed and print the results."""
    quiet_lightning()
    others = [argument for argument in arguments if not argument.startswith("seed=")]
    given = [argument for argument in arguments if argument not in others]
    num_failed = 0
    for seed in given or [f"seed={seed}" for seed in SEEDS]:
        clock = Clock("cpu")
        rows = curve("task=toy", "device=cpu", *others, seed)
        iteration, last = solved_at(rows), rows[-1]
        num_failed += iteration is None
        training_s = sum(float(row["perf/collect_s"]) + float(row["perf/learn_s"]) for row in rows[: iteration or None])
        print_line(
            {
                "seed": int(seed.removeprefix("seed=")),
                "solved_at_iteration": iteration,
                "training_s_until_solved": round(training_s, 1),
                "run_s": round(clock.pause(), 1),
                "iterations": len(rows),
                "final_error_m": float(last["command/target_error"] or "nan"),
                "final_return": float(last["episode/return"] or "nan"),
            }
        )
    if num_failed:
        raise SystemExit(1)


if __name__ == "__main__":
    run_command(main)
