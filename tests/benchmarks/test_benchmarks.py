"""Every benchmark starts, at tiny sizes."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import qpsolvers
import torch

from benchmarks import distill_update, gif, mpc_cupiqp, mpc_mujoco, mpc_solver, plot_curve, toy
from benchmarks.harness import Clock, spread
from benchmarks.mpc_problems import G1, recorded_problems
from rlmpc.mpc.predictive import Predictive
from rlmpc.mpc.settings import MpcSettings

ROOT = Path(__file__).resolve().parents[2]


def lines(out: str) -> list[dict]:
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


def test_all_benchmarks_are_started_here():
    scripts = {path.stem for path in (ROOT / "benchmarks").glob("*.py") if "__main__" in path.read_text()}
    assert scripts == {
        "distill_update",
        "gif",
        "learning",
        "mpc_cupiqp",
        "mpc_newton",
        "mpc_solver",
        "mpc_mujoco",
        "plot_curve",
        "throughput",
        "toy",
    }


@pytest.mark.parametrize("memory", ["none", "gru"])
def test_distill_update_compares_both_sides_on_the_same_rollout(command, memory):
    sizes = ["num_envs=16", "num_steps=4", "gradient_length=2", "num_minibatches=2", "repeats=1", "warm_up=2"]
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


def test_mpc_solver_compares_draws_and_times(command, tmp_path):
    small = ["num=4", "compared=[5,10]", "num_envs=[2]", "repeats=1", "horizon=4", "against=[proxqp]"]
    code, out, err = command(mpc_solver.main, "problems=[random]", "figure=error.png", *small)
    assert code == 0, err
    against, *curve, time = lines(out)
    assert against["against"] == "proxqp"
    assert {name: against[name] for name in against if name.endswith("_beyond")} == dict.fromkeys(
        ("gap_beyond", "wrench_beyond", "violation_beyond"), 0
    )
    assert [line["iterations"] for line in curve] == [5, 10]
    assert time["solve_ms"] > 0.0
    assert (tmp_path / "error.png").exists()


def test_mpc_solver_times_without_the_other_solvers_where_these_are_not_installed(command, monkeypatch):
    for name in ("qpsolvers", "scipy.sparse", "matplotlib"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, mpc_solver.__name__)
    alone = importlib.import_module(mpc_solver.__name__)
    code, out, err = command(alone.main, "against=[]", "num_envs=[1,2]", "repeats=1", "iterations=2")
    assert code == 0, err
    assert [line["num_envs"] for line in lines(out) if line["solve_ms"] > 0.0] == [1, 2]


def test_mpc_solver_refuses_a_solver_that_it_does_not_know(command):
    code, _, err = command(mpc_solver.main, "against=[proxq]")
    assert code == 2
    assert "did you mean 'proxqp'?" in err


def test_what_is_written_for_cupiqp_has_the_minimum_of_the_controller():
    settings = MpcSettings()
    problems = recorded_problems(3, settings)
    predictive = Predictive(G1, settings, 3, "cpu")
    problem, _ = predictive.problem(*problems)
    ours = predictive.solver(problem, predictive.start(problem)).inputs.flatten(1)
    dense = (tensor.double().numpy() for tensor in mpc_cupiqp.written(predictive, problem))
    for inputs, (hessian, linear, rows, low, high) in zip(ours, zip(*dense, strict=True), strict=True):
        theirs = qpsolvers.solve_qp(hessian, linear, rows, np.zeros(len(rows)), lb=low, ub=high, solver="clarabel")
        assert theirs is not None
        assert np.abs(inputs[:12].double().numpy() - theirs[:12]).max() < 0.01


def test_cupiqp_is_refused_without_a_gpu(command, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code, _, err = command(mpc_cupiqp.main)
    assert code == 2
    assert err.endswith("cuPIQP needs a GPU, and there is none\n")


def test_mpc_mujoco_counts_the_robots_that_stand_at_the_end(command):
    code, out, err = command(mpc_mujoco.main, "gates=[stand,push_walking]", "robots=2", "seconds=0.4", "seed=3")
    assert (code, err) == (0, "")
    stand, push = lines(out)
    assert (stand["gate"], stand["robots"], stand["up"], stand["seed"]) == ("stand", 2, 2, 3)
    assert push["fallen_sides_deg"] == []


def test_mpc_mujoco_fails_where_too_few_stand():
    gate, speeds = mpc_mujoco.GATES["walk_0.3"], np.array([[0.2, 0.0, 0.1], [9.0, 9.0, 9.0], [0.5, 0.0, -0.1]])
    line = mpc_mujoco.result(gate, np.array([True, False, True]), speeds)
    assert (line["robots"], line["up"]) == (3, 2)
    assert (line["vx"], line["vx_error"]) == pytest.approx((0.35, 0.15))
    assert (line["wz"], line["wz_error"]) == pytest.approx((0.0, 0.1))


def test_mpc_mujoco_refuses_a_gate_that_it_does_not_know(command):
    code, _, err = command(mpc_mujoco.main, "gates=[walk_0.4]")
    assert code == 2
    assert "unknown 'gates' 'walk_0.4'" in err and "did you mean 'walk_0." in err
