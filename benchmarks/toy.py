"""Is the toy task solved, and how fast? `python benchmarks/toy.py agent=ppo` trains three seeds.

Solved: the curriculum is at its top (mean level at least 3.5 of 4) and the mean distance to the target over an
episode's second half is below 0.2 m. Prints one JSON line a seed and exits with 1 if one did not solve it.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SEEDS = (1, 2, 3)
MIN_LEVEL = 3.5
MAX_ERROR_M = 0.2


def solved_at(rows: list[dict[str, str]]) -> int | None:
    """First iteration, counted from 1, at which both marks are reached."""
    for iteration, row in enumerate(rows, start=1):
        error = row["command/target_error"]
        if error and float(error) < MAX_ERROR_M and float(row["curriculum/level"]) >= MIN_LEVEL:
            return iteration
    return None


def main(overrides: list[str]) -> int:
    """Train every seed with these arguments of `train.py` and report."""
    num_failed = 0
    for seed in SEEDS:
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            fixed = ["task=toy", "device=cpu", f"seed={seed}", f"run.dir={run}"]
            command = [sys.executable, "train.py", *fixed, *overrides]
            start = time.perf_counter()
            subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wall_s = time.perf_counter() - start
            with (run / "metrics.csv").open(newline="") as file:
                rows = list(csv.DictReader(file))
        iteration = solved_at(rows)
        num_failed += iteration is None
        training_s = sum(float(row["perf/collect_s"]) + float(row["perf/learn_s"]) for row in rows[: iteration or None])
        result = {
            "seed": seed,
            "solved_at_iteration": iteration,
            "training_s_until_solved": round(training_s, 1),
            "command_s": round(wall_s, 1),
            "iterations": len(rows),
            "final_error_m": round(float(rows[-1]["command/target_error"]), 3),
            "final_return": round(float(rows[-1]["episode/return"]), 2),
        }
        print(json.dumps(result), flush=True)
    return int(num_failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
