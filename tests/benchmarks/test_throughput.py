"""Training is compared on one environment, and what an iteration does is observed from outside."""

from __future__ import annotations

import json
import os
import time
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
import torch

import rlmpc.algorithms.ppo.learner as gae_of
from benchmarks import throughput
from benchmarks.breakdown import HostReads, Inspection, Timeline, union_ns
from benchmarks.driver_busy import DriverBusy
from benchmarks.rsl_rl_env import AdaptedEnv
from benchmarks.sides import anneal, make_sides, runner_config, train_side
from rlmpc.errors import UserError
from rlmpc.graphs import Replayed

SMALL = ["task=toy", "device=cpu", "num_envs=8", "agent.num_steps=8", "blocks=2", "iterations=1", "warm_up=1"]


@pytest.fixture(scope="module")
def cpu() -> torch.device:
    return torch.device("cpu")


def test_both_sides_train_in_turn_and_every_part_is_told(command):
    watched = Replayed.__call__, gae_of.gae
    code, out, err = command(throughput.main, *SMALL, "steps=4")
    assert code == 0, err
    assert (Replayed.__call__, gae_of.gae) == watched
    lines = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    assert {line["num_envs"] for line in lines} == {8}
    assert [line["side"] for line in lines if line["figures"] == "block"] == ["ours", "rsl_rl", "rsl_rl", "ours"]
    ours, rsl_rl = (line for line in lines if line["figures"] == "training")
    for side in (ours, rsl_rl):
        assert 0 < side["env_steps_per_s_lowest"] <= side["env_steps_per_s"] <= side["env_steps_per_s_highest"]
        assert 0 < side["learn_ms"] < side["iteration_ms"]
    (ratio,) = (line for line in lines if line["figures"] == "ratio")
    assert 0 < ratio["ours_to_it_lowest"] <= ratio["ours_to_it"] <= ratio["ours_to_it_highest"]
    (parts,) = (line for line in lines if line["figures"] == "parts_ms")
    (named,) = (line for line in lines if line["figures"] == "of these, recorded_ms")
    assert {"rest of rollout: chosen", "update: step"} <= named.keys()
    assert {"env tail", "policy", "storage", "GAE", "update", "logging"} <= parts.keys()
    assert {"host reads", "env.step"} <= {line["figures"] for line in lines}
    assert "training rsl_rl: env_steps_per_s" in out and "8 envs" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["sides=[our]"], "unknown side 'our'; accepted: ours, ours_stock, rsl_rl, rsl_rl_stock; did you mean 'ours'"),
        (["sides=[rsl_rl]", "agent=rma"], "rsl_rl has no agent 'rma'"),
        (["sides=[ours num_envs=3]"], "side 'ours num_envs=3' sets 'num_envs', but all sides share one environment"),
        (["sides=[ours env.step_dt=0.1]"], "side 'ours env.step_dt=0.1' sets 'env', but all sides share one"),
        (["sides=[rsl_rl_stock]"], "task 'toy' has no stock environment of Isaac Lab; leave rsl_rl_stock out"),
        (["block=2"], "block"),
        (["blocks=0"], "'blocks'"),
        (["stage=distill"], "teacher_ckpt"),
    ],
)
def test_what_cannot_be_compared_is_refused(command, arguments, sentence):
    code, out, err = command(throughput.main, "task=toy", "device=cpu", "num_envs=8", *arguments)
    assert (code, out) == (2, "")
    assert sentence in err


def test_a_side_may_have_settings_of_its_own():
    names = ["ours", "rsl_rl agent.gamma=0.9 faults.max_dumps=9"]
    cfg, (plain, other) = make_sides(names, ["task=toy", "agent.gamma=0.8"])
    assert (plain.cfg, plain.cfg.agent.gamma, other.learner) == (cfg, 0.8, "rsl_rl")
    assert runner_config(other.cfg)["algorithm"]["gamma"] == 0.9
    assert (other.cfg.faults.max_dumps, cfg.faults.max_dumps) == (9, 5)


def test_rsl_rl_has_the_same_networks_and_normalization():
    cfg, _ = make_sides([], ["task=toy", "agent.normalize_obs=false", "agent.actor_hidden=[7]"])
    config = runner_config(cfg)
    assert (config["actor"]["hidden_dims"], config["critic"]["hidden_dims"]) == ([7], [64, 64])
    assert not config["actor"]["obs_normalization"]
    assert config["obs_groups"] == {"actor": ["teacher"], "critic": ["critic"]}


def test_rsl_rl_explores_as_we_do(toy_env, tmp_path):
    ours = ["agent.entropy_coef=0.01", "agent.final_entropy_coef=0.0", "agent.final_max_std=0.3"]
    _, (side,) = make_sides(
        ["rsl_rl"], ["task=toy", "device=cpu", "agent.num_steps=4", "agent.anneal_iterations=4", *ours]
    )
    explored: list[tuple[float, float]] = []

    def watched(algorithm: Any, *given: Any) -> None:
        anneal(algorithm, *given)
        std = algorithm.get_policy().distribution.log_std_param.exp().max().item()
        explored.append((algorithm.entropy_coef, std))

    with patch("benchmarks.sides.anneal", watched):
        train_side(side, toy_env, 6, tmp_path / "run", lambda *_: None)
    # Of the next update, and after this one.
    assert [entropy_coef for entropy_coef, _ in explored] == pytest.approx([0.0075, 0.005, 0.0025, 0.0, 0.0, 0.0])
    assert explored[0][1] > 0.9
    assert explored[4][1] <= 0.3 + 1e-6


def test_the_adapter_tells_rsl_rl_of_ends_and_keeps_observations(toy_env):
    adapted = AdaptedEnv(toy_env, ("teacher", "critic"), stagger_episodes=False)
    before = adapted.get_observations()
    kept = before["teacher"].clone()
    toy_env.episode_length.fill_(toy_env.max_episode_length - 1)
    toy_env.restart(torch.arange(16) == 3)
    with torch.inference_mode():
        obs, reward, done, extras = adapted.step(torch.zeros(16, 2))
    assert set(obs.keys()) == {"teacher", "critic"}
    assert bool(done.all()) and extras["time_outs"].tolist() == [i != 3 for i in range(16)]
    assert reward[3] == 0.0
    assert torch.equal(before["teacher"], kept)
    assert not toy_env.target.is_inference()


def test_time_within_a_part_does_not_count_in_the_part_around_it(cpu, monkeypatch):
    now = iter(range(100))
    monkeypatch.setattr("benchmarks.breakdown.time.perf_counter", lambda: float(next(now)))
    timeline = Timeline(cpu)
    inner = timeline.timed("inner", lambda: None)
    outer = timeline.timed("outer", lambda: (inner(), inner()))
    outer()
    timeline.start()
    outer()
    timeline.stop()
    assert timeline.seconds() == {"outer": 3.0, "inner": 2.0, "rest of iteration": 2.0}


def test_a_part_whose_function_is_gone_is_not_passed_over(monkeypatch, toy_env):
    monkeypatch.setattr("benchmarks.breakdown.parts_of", lambda *_: [("absent", None, "step"), ("gone", toy_env, "go")])
    with pytest.raises(AttributeError, match="go"):
        Inspection(toy_env, 0, 1).on_train_start(None, None)  # type: ignore[arg-type]


def test_overlapping_kernels_count_once():
    assert union_ns([(10, 20), (0, 4), (15, 30), (16, 18)]) == 24


def test_reads_are_counted_by_the_line_that_asks(cpu):
    x = torch.arange(4.0)
    with (reads := HostReads(cpu)):
        x.sum().item()
        x[x > 1.0]
        x[x > 1.0] = 0.0
        torch.where(x > 1.0)
        bool((x > 1.0).any())
        x + x.masked_fill(x > 1.0, 0.0)
    assert reads.places.total() == 5
    assert {place.split(":")[0] for place in reads.places} == {"tests/benchmarks/test_throughput.py"}
    assert reads.figures()["host_reads_ours"] == 0


def test_a_table_has_a_column_for_every_number_of_environments():
    lines = [{"figures": "physics", "num_envs": n, "ms": 2.0, "ms_lowest": 1.0, "ms_highest": 3.25} for n in (64, 8)]
    text = throughput.table([*lines, {"figures": "gpu", "num_envs": 8, "kernels": 12345, "names": {}}])
    assert text.splitlines()[0].split() == ["8", "envs", "64", "envs"]
    assert "physics: ms   2 (1 - 3.25)  2 (1 - 3.25)" in text
    assert text.splitlines()[-1].split() == ["gpu:", "kernels", "12345", "-"]


def test_a_number_of_environments_that_fails_is_named(monkeypatch, tmp_path):
    script = tmp_path / "fails.py"
    script.write_text('print("{\\"num_envs\\": 8, \\"figures\\": \\"physics\\", \\"ms\\": 1.5}"); raise SystemExit(3)')
    monkeypatch.setattr(throughput, "__file__", str(script))
    with pytest.raises(Exception, match="measurement of 8 environments ended with exit code 3"):
        throughput.measure_each(throughput.Arguments(num_envs=[8, 16]), [])


def test_checkpoints_are_no_start(tmp_path):
    with pytest.raises(UserError):
        make_sides(["ours"], ["task=toy", f"resume={tmp_path}"])


def test_the_driver_tells_how_busy_a_gpu_is(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text('#!/bin/sh\necho "$@" > "$0.asked"\nwhile true; do echo 80; sleep 0.01; done\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda device: SimpleNamespace(uuid="5d4c"))
    busy = DriverBusy(torch.device("cuda"))
    busy.start()
    time.sleep(0.3)
    shares = busy.stop()
    assert len(shares) > 2 and set(shares) == {0.8}
    assert "--id=GPU-5d4c" in (tmp_path / "nvidia-smi.asked").read_text()
    assert busy.stop() == []


def test_a_cpu_has_no_driver_to_ask():
    busy = DriverBusy(torch.device("cpu"))
    busy.start()
    assert busy.stop() == []
