"""Curves of both learners are written row by row, and drawn over seeds."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from benchmarks import learning
from benchmarks.learning import COLUMNS, band, learn, read_curve
from benchmarks.sides import make_sides

SMALL = ["task=toy", "device=cpu", "num_envs=8", "agent.num_steps=8"]


def write_curve(path, returns):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *([i, 64 * i, 0.5 * i, r, 1.0] for i, r in enumerate(returns, start=1))])


@pytest.mark.parametrize("name", ["ours", "rsl_rl"])
def test_either_side_learns_and_leaves_a_row_an_iteration(tmp_path, name):
    _, (side,) = make_sides([name], [*SMALL, "env.episode_length_s=0.5"])
    learn(side, 3, 2, 0.0, tmp_path / "curve.csv")
    curve = read_curve(tmp_path / "curve.csv")
    assert curve["env_steps"].tolist() == [64.0, 128.0]
    assert (np.diff(curve["wall_s"]) > 0.0).all()
    assert np.isfinite(curve["return"]).all() and np.isfinite(curve["level"]).all()
    assert side.cfg.seed == 3


@pytest.mark.parametrize("name", ["ours", "rsl_rl"])
def test_a_run_ends_when_its_time_is_over(tmp_path, name):
    _, (side,) = make_sides([name], SMALL)
    learn(side, 1, 50, 1e-6, tmp_path / "curve.csv")
    assert len(read_curve(tmp_path / "curve.csv")["iteration"]) == 1
    assert learning.is_complete(tmp_path / "curve.csv", 50, 1e-6)
    assert not learning.is_complete(tmp_path / "curve.csv", 50, 0.0)


def test_complete_runs_are_drawn_and_not_repeated(command, tmp_path):
    for side, returns in (("ours", [1.0, 3.0]), ("rsl_rl", [0.0, 2.0])):
        for seed in (1, 2):
            write_curve(tmp_path / f"{side}_seed{seed}.csv", [r * seed for r in returns])
    arguments = [*SMALL, f"folder={tmp_path}", "seeds=[1,2]", "iterations=2"]
    code, out, err = command(learning.main, *arguments)
    assert code == 0, err
    ours, rsl_rl = (json.loads(line) for line in out.splitlines())
    assert (ours["side"], ours["return"], ours["return_lowest"], ours["return_highest"]) == ("ours", 3.0, 2.0, 4.0)
    assert rsl_rl["return"] == 1.5
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    code, _, err = command(learning.main, *arguments, "agent.gamma=0.9")
    assert code == 2 and "holds curves of other settings" in err


def test_folders_are_drawn_together_by_side_and_by_what_their_arguments_differ_in(command, tmp_path):
    for folder, task, seeds in (("a", "toy", (1,)), ("b", "toy", (2,)), ("c", "blind_rl", (1, 2))):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / learning.RECORD).write_text(json.dumps([f"task={task}", "num_envs=8"]))
        for seed in seeds:
            write_curve(tmp_path / folder / f"ours_seed{seed}.csv", [1.0 * seed, 2.0 * seed])
    folders = [str(tmp_path / folder) for folder in "abc"]
    code, out, err = command(learning.main, f"draw=[{','.join(folders)}]", f"folder={tmp_path / 'all'}")
    assert code == 0, err
    lines = [json.loads(line) for line in out.splitlines()]
    assert [(line["side"], line["runs"]) for line in lines] == [("ours task=toy", 2), ("ours task=blind_rl", 2)]
    assert (tmp_path / "all" / "curves.png").exists()
    code, _, err = command(learning.main, f"draw=[{tmp_path}]", f"folder={tmp_path / 'all'}")
    assert code == 2 and "holds no curves" in err


def test_runs_share_the_gpus_that_this_process_may_use(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert learning.visible_gpus(2) == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3,5")
    assert learning.visible_gpus(2) == ["2", "3"]


def test_a_band_ends_where_the_shortest_run_does(tmp_path):
    write_curve(tmp_path / "a.csv", [1.0, 2.0, 3.0])
    write_curve(tmp_path / "b.csv", [3.0, 6.0])
    with (tmp_path / "b.csv").open("a") as file:
        file.write("3,192,1.")
    mean, lowest, highest = band([read_curve(tmp_path / f"{name}.csv") for name in "ab"], "return")
    assert (mean.tolist(), lowest.tolist(), highest.tolist()) == ([2.0, 4.0], [1.0, 2.0], [3.0, 6.0])


def test_the_file_of_a_side_with_settings_has_a_plain_name():
    _, (side,) = make_sides(["ours faults.dump=false agent.actor_hidden=[8]"], SMALL)
    assert learning.file_name(side) == "ours-faults.dump-false-agent.actor_hidden-8-"
