"""The same simulation trains our learner and rsl_rl, by our step and by Isaac Lab's."""

from __future__ import annotations

import json

import pytest

from benchmarks import throughput

pytestmark = pytest.mark.sim

SMALL = ["num_envs=8", "agent.num_steps=4", "blocks=1", "iterations=1", "warm_up=1", "steps=2"]


def test_every_side_trains_on_one_simulation(command):
    sides = ["ours", "rsl_rl_stock", "rsl_rl", "ours_stock"]
    terrain = "env.scene.terrain.terrain_generator.num_rows=2"
    chosen = ["task=blind_rl", "device=cpu", terrain, f"sides=[{','.join(sides)}]"]
    code, out, err = command(throughput.main, *chosen, *SMALL)
    assert code == 0, err
    lines = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    assert [line["side"] for line in lines if line["figures"] == "training"] == sides
    (parts,) = (line for line in lines if line["figures"] == "parts_ms")
    assert parts["physics"] > 0.0 and parts["env tail"] > 0.0
    (step,) = (line for line in lines if line["figures"] == "env.step")
    assert step["sim/constraints_peak"] > 0
    assert {"env.step of Isaac Lab", "physics", "training to physics"} <= {line["figures"] for line in lines}
