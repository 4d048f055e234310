"""From flat ground to stairs by `init_ckpt`, with the simulator."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import train
from rlmpc.checkpoint.file import load_checkpoint

pytestmark = pytest.mark.sim

TINY = ["device=cpu", "num_envs=4", "agent.num_steps=4", "trainer.max_epochs=1", "logger=[]", "checkpoint.export=false"]


def test_a_policy_of_flat_ground_goes_on_over_stairs(command):
    code, _, err = command(train.main, "task=blind_rl_flat", *TINY, "agent.actor_hidden=[16]", "run.dir=flat")
    assert code == 0, err
    still = ["agent.learning_rate=1e-12", "agent.min_lr=1e-12", "agent.max_lr=1e-12"]
    rows = "env.scene.terrain.terrain_generator.num_rows=2"
    code, out, err = command(train.main, "task=blind_rl", *TINY, *still, rows, "init_ckpt=flat", "run.dir=stairs")
    assert code == 0, err
    assert "blind_rl_flat, iteration 1" in out
    flat, stairs = (load_checkpoint(Path(f"{name}/checkpoints/last.ckpt")) for name in ("flat", "stairs"))
    for name, values in flat.state_dict.items():
        if name.startswith(("policy.actor", "policy.critic")):
            torch.testing.assert_close(stairs.state_dict[name], values, atol=1e-6, rtol=0.0)
    kinds = stairs.hyperparameters["contract"]["world"]["terrain"]["kinds"]
    assert "stairs_up" in kinds and "stairs_up" not in flat.hyperparameters["contract"]["world"]["terrain"]["kinds"]

    scan = ["task=phase_1_scan_rl", "agent=ppo", *TINY, rows, "init_ckpt=flat", "run.dir=scan"]
    code, _, err = command(train.main, *scan)
    assert code == 2
    assert "'flat/checkpoints/epoch=0.ckpt' does not fit this environment" in err
    assert "observations.teacher, order: base_lin_vel" in err
    assert not Path("scan").exists()
