"""Robots in MuJoCo, in states that a controller may meet, for tests."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.mpc_gates import Differences
from benchmarks.mpc_robots import MujocoRobots
from rlmpc.mpc.controller import Controller
from rlmpc.mpc.parameters import Parameters
from rlmpc.mpc.settings import MpcSettings
from rlmpc.mpc.walk_settings import WalkSettings
from rlmpc.robots.g1.config import G1

EXACT = Differences(mass=0.0, friction=(0.8, 0.8), torso_com_m=0.0)


class Walk:
    """Robots that follow a command under their controller."""

    def __init__(self, num: int, command: tuple[float, float, float], seed: int = 0) -> None:
        settings, walk = MpcSettings(), WalkSettings()
        self.robots = MujocoRobots(G1, [EXACT] * num, seed)
        self.controller = Controller(self.robots.facts, settings, walk, num, "cpu")
        self.parameters = Parameters.nominal(settings, walk, num)
        self.command = torch.tensor(command).expand(num, 3)
        self.after_2_s = self.robots.root()
        self.controller.reset(torch.ones(num, dtype=torch.bool), self.robots.state())

    def step(self) -> torch.Tensor:
        """Run a control step; return the efforts of all physics steps (4, B, J)."""
        self.controller.plan(self.robots.state(), self.command, self.parameters)
        efforts = []
        for _ in range(4):
            efforts.append(self.controller.torques(self.robots.state()))
            self.robots.step(efforts[-1])
        return torch.stack(efforts)


def tumbling(num: int, seed: int = 0) -> MujocoRobots:
    """Return robots in the air in any pose, with any velocity."""
    robots = MujocoRobots(G1, [EXACT] * num, seed)
    for data in robots.data:
        data.qpos[2] = 1.5
        data.qpos[3:7] = robots.rng.normal(size=4)
        data.qpos[3:7] /= np.linalg.norm(data.qpos[3:7])
        data.qpos[7:] += robots.rng.uniform(-0.5, 0.5, len(data.qpos) - 7)
        data.qvel[:] = robots.rng.normal(size=len(data.qvel))
    robots.forward()
    return robots
