"""MuJoCo's height scan against Isaac Lab's, on stairs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from rlmpc.contract.contract import Contract
from rlmpc.sim2sim.scanner import scan_heights
from rlmpc.sim2sim.simulation import Simulation

pytestmark = pytest.mark.sim

NUM_ROBOTS = 6


@pytest.fixture(scope="module")
def env():
    from rlmpc.envs.isaaclab.env import IsaacLabEnv
    from rlmpc.tasks.phase_1_scan_rl.env_cfg import ScanPlayEnvCfg

    cfg = ScanPlayEnvCfg()
    generator = cfg.scene.terrain.terrain_generator
    generator.sub_terrains = {name: generator.sub_terrains[name] for name in ("stairs_up", "stairs_down")}
    generator.num_rows, generator.num_cols = 1, 2
    generator.difficulty_range = (0.95, 0.95)
    env = IsaacLabEnv(cfg, NUM_ROBOTS, torch.device("cpu"), seed=1)
    yield env
    env.close()


def put(simulation: Simulation, env: Any, robot: int) -> None:
    """Bring the robot where one of Isaac Lab's is on its tile."""
    data = env.unwrapped.scene["robot"].data
    pose = data.root_pose_w.torch[robot].double().numpy()
    simulation.data.qpos[:2] = pose[:2] - env.unwrapped.scene.env_origins[robot, :2].numpy()
    simulation.data.qpos[2], simulation.data.qpos[3:7] = pose[2], pose[[6, 3, 4, 5]]
    simulation.data.qpos[7:] = data.joint_pos.torch[robot].numpy()


def test_scans_of_stairs_agree(env):
    env.reset()
    for _ in range(20):
        scans = env.step(torch.zeros(NUM_ROBOTS, 30)).obs["critic"][:, :459].numpy()
    reach_m = env.unwrapped.cfg.scene.height_scanner.max_distance
    kinds = env.unwrapped.scene.terrain.terrain_types.tolist()
    assert set(kinds) == {0, 1}
    contract = Contract.from_dict(env.contract.to_dict())
    for robot, kind in enumerate(kinds):
        simulation = Simulation(contract, ("stairs_up", "stairs_down")[kind], 0)
        put(simulation, env, robot)
        difference_m = reach_m * np.abs(scan_heights(simulation) - scans[robot])
        assert reach_m * np.ptp(scans[robot]) > 0.15
        # A ray within rounding of an edge may fall on either step.
        assert (difference_m > 1e-3).sum() <= 2
