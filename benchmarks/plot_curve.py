"""Draws the curves of a run: `python benchmarks/plot_curve.py metrics.csv curve.png`."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

PANELS = (
    ("episode/return", "return of an episode"),
    ("episode/length", "episode length [steps]"),
    ("episode/fall_rate", "episodes that end in a fall"),
    ("command/error_vel_xy", "velocity error xy [m/s]"),
    ("curriculum/terrain_levels", "mean terrain level"),
    ("perf/steps_per_s", "environment steps/s"),
)


def main(source: str, target: str) -> None:
    """Read a metrics CSV and write a picture of six curves."""
    with Path(source).open(newline="") as file:
        rows = list(csv.DictReader(file))
    figure, axes = plt.subplots(2, 3, figsize=(12, 6), constrained_layout=True)
    for axis, (name, title) in zip(axes.flat, PANELS, strict=True):
        points = [(int(row["step"]), float(row[name])) for row in rows if row.get(name)]
        axis.plot(*zip(*points, strict=True), linewidth=1.2)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("iteration")
        axis.grid(alpha=0.3)
    figure.savefig(target, dpi=90)


if __name__ == "__main__":
    main(*sys.argv[1:3])
