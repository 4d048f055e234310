"""Draws the curves of one or more runs: `python benchmarks/plot_curve.py curve.png ppo=metrics.csv rma=other.csv`."""

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
    ("episode/falls_per_minute", "falls per minute"),
    ("command/error_vel_xy", "velocity error xy [m/s]"),
    ("curriculum/terrain_levels/mean", "mean terrain level"),
    ("evaluation/success", "success in held-out environments"),
    ("perf/steps_per_s", "environment steps/s"),
    ("estimator/rmse_x", "error of the estimated velocity, x [m/s]"),
    ("latent/cosine", "cosine of history and privileged latent"),
)


def main(target: str, *runs: str) -> None:
    """Draw the curves of `runs`, each `<label>=<metrics.csv>`, into a file; quantities that no run has are left out."""
    tables = {}
    for run in runs:
        label, source = run.split("=", 1)
        with Path(source).open(newline="") as file:
            tables[label] = list(csv.DictReader(file))
    panels = [(name, title) for name, title in PANELS if any(name in rows[0] for rows in tables.values())]
    columns = (len(panels) + 1) // 2
    figure, axes = plt.subplots(2, columns, figsize=(4 * columns, 6), constrained_layout=True, squeeze=False)
    for axis, (name, title) in zip(axes.flat, panels, strict=False):
        for label, rows in tables.items():
            points = [(int(row["step"]), float(row[name])) for row in rows if row.get(name)]
            if points:
                axis.plot(*zip(*points, strict=True), linewidth=1.2, label=label)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("iteration")
        axis.grid(alpha=0.3)
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    axes.flat[0].legend()
    figure.savefig(target, dpi=90)


if __name__ == "__main__":
    main(*sys.argv[1:])
