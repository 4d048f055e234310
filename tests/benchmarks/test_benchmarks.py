"""Every benchmark starts, at tiny sizes."""

from __future__ import annotations

import json
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch

from benchmarks import distill_update, gif, plot_curve, toy
from benchmarks.harness import Clock, spread

ROOT = Path(__file__).resolve().parents[2]


def lines(out: str) -> list[dict]:
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


def test_all_benchmarks_are_started_here():
    scripts = {path.stem for path in (ROOT / "benchmarks").glob("*.py") if "__main__" in path.read_text()}
    assert scripts == {"distill_update", "gif", "learning", "plot_curve", "throughput", "toy"}


@pytest.mark.parametrize("memory", ["none", "gru"])
def test_distill_update_compares_both_sides_on_the_same_rollout(command, memory):
    sizes = ["num_envs=16", "num_steps=4", "gradient_length=2", "num_minibatches=2", "repeats=1"]
    code, out, err = command(distill_update.main, "device=cpu", f"memory={memory}", *sizes)
    assert code == 0, err
    arguments, rsl_rl, ours, ratios = lines(out)
    assert arguments["num_envs"] == 16
    assert (rsl_rl["side"], ours["side"]) == ("rsl_rl", "ours")
    assert ours["loss_before"] == pytest.approx(rsl_rl["loss_before"], rel=1e-3)
    for side in (rsl_rl, ours):
        assert side["loss_after"] < side["loss_before"]
        assert side["gradient_steps"] == 2
        assert 0.0 < side["pass_s_lowest"] <= side["pass_s"] <= side["pass_s_highest"]
    assert ratios["pass_ratio"] == pytest.approx(rsl_rl["pass_s"] / ours["pass_s"], rel=1e-2)


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("memory=lstm", "memory=lstm is not measured; accepted: none, gru"),
        ("num_env=4", "unknown argument 'num_env'; accepted: device, num_envs,"),
        ("num_envs=many", "'many'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(command, argument, sentence):
    code, _, err = command(distill_update.main, argument)
    assert code == 2
    assert sentence in err


def test_toy_says_whether_a_seed_solved_the_task(command, tmp_path):
    small = ["num_envs=8", "agent.num_steps=8", "trainer.max_epochs=2", "logger=[csv]"]
    code, out, err = command(toy.main, "agent=ppo", "seed=5", *small)
    assert (code, err) == (1, "")
    (line,) = lines(out)
    assert (line["seed"], line["iterations"], line["solved_at_iteration"]) == (5, 2, None)
    assert not list(tmp_path.iterdir())


def test_toy_counts_a_task_as_solved_where_level_and_distance_are_reached():
    rows = [
        {"command/target_error": error, "curriculum/level": level}
        for error, level in [("", "4.0"), ("0.1", "3.4"), ("0.3", "3.9"), ("0.19", "3.5")]
    ]
    assert toy.solved_at(rows) == 4
    assert toy.solved_at(rows[:3]) is None


def test_plot_curve_draws_what_the_runs_have(tmp_path):
    for name, column in (("a", "episode/return"), ("b", "latent/cosine")):
        (tmp_path / f"{name}.csv").write_text(f"step,{column}\n0,0.5\n1,\n2,0.7\n")
    plot_curve.main(str(tmp_path / "curve.png"), *(f"{name}={tmp_path / name}.csv" for name in "ab"))
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_gif_takes_every_few_frames_of_a_part_of_a_video_at_half_the_size(tmp_path):
    video = np.random.default_rng(0).integers(0, 256, (60, 32, 48, 3), dtype=np.uint8)
    iio.imwrite(tmp_path / "video.mp4", video, plugin="pyav", codec="libx264", fps=30)
    gif.main(str(tmp_path / "video.mp4"), str(tmp_path / "part.gif"), "0.5", "1.5")
    assert iio.imread(tmp_path / "part.gif", plugin="pillow").shape == (10, 16, 24, 3)


def test_a_spread_is_median_lowest_and_highest():
    assert spread("s", iter([3.0, 1.0, 2.0])) == {"s": 2.0, "s_lowest": 1.0, "s_highest": 3.0}


def test_a_paused_clock_does_not_count(monkeypatch):
    now = iter([0.0, 1.0, 10.0, 12.0])
    monkeypatch.setattr("benchmarks.harness.time.perf_counter", lambda: next(now))
    clock = Clock(torch.device("cpu"))
    assert clock.pause() == 1.0
    clock.resume()
    assert clock.pause() == 3.0
