"""Counts how many robots the predictive controller keeps up with no policy: `python benchmarks/mpc_mujoco.py`.

Every gate starts `robots` robots in MuJoCo that differ in mass, friction, centre of mass, heading and start velocity,
and prints one JSON line: how many stood to the end, and the mean velocity of those in their own heading over the second
half. `gates=[walk_0.3,push_standing]` runs some. Exits with 1 if fewer than 97 of 100 stood at a gate that must hold.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch

from benchmarks.harness import print_line, settings
from benchmarks.mpc_gates import GATES, Gate
from benchmarks.mpc_robots import WORLD, MujocoRobots
from rlmpc.config.setting import check_settings, setting
from rlmpc.mpc.controller import Controller
from rlmpc.mpc.parameters import Parameters
from rlmpc.mpc.settings import MpcSettings
from rlmpc.mpc.walk_settings import WalkSettings
from rlmpc.robots.table import robot_named
from rlmpc.run.command import run_command

REQUIRED = 0.97
"""Share of the robots that must stand at the end of a gate that must hold."""


@dataclass
class Config:
    """Arguments."""

    gates: list[str] = setting(list(GATES), choices=tuple(GATES))
    robots: int = 100
    """In every gate."""
    seconds: float = 10.0
    """Of every gate."""
    seed: int = 0
    robot: str = "g1_29dof"
    solver: str = "admm"
    iterations: int = MpcSettings().iterations
    """Of the solver."""
    friction: float = MpcSettings().friction
    """That the controller assumes."""


class Trial:
    """Robots under one controller, each with its own gate.

    Args:
        gates: what they do (B of them).
        config: how long, and how the controller is set.
    """

    def __init__(self, gates: list[Gate], config: Config) -> None:
        walk, num = WalkSettings(), len(gates)
        mpc = MpcSettings(solver=config.solver, iterations=config.iterations, friction=config.friction)
        self.robots = MujocoRobots(robot_named(config.robot), [gate.differences for gate in gates], config.seed)
        self.controller = Controller(self.robots.facts, mpc, walk, num, "cpu")
        self.parameters = Parameters.nominal(mpc, walk, num)
        self.parameters.steps = torch.tensor([gate.steps for gate in gates])
        self.command = torch.tensor([gate.command for gate in gates])
        self.controller.reset(torch.ones(num, dtype=torch.bool), self.robots.state())
        self.is_late = torch.tensor([gate.is_late for gate in gates])[:, None, None]
        self.last_wrench = self.controller.wrench.clone()
        self.num_steps = round(config.seconds / walk.control_dt)
        self.push = np.array([gate.push for gate in gates])
        # At any phase of the gait, and from sides spread over the robots of a gate.
        delays = self.robots.rng.uniform(0.0, walk.period_s, num)
        self.push_at = (0.5 * self.num_steps + delays / walk.control_dt).astype(int)
        self.push_side = 2.0 * np.pi * (np.arange(num) + self.robots.rng.uniform(0.0, 1.0, num)) / config.robots

    def step(self) -> None:
        """Run one control step."""
        state = self.robots.state()
        self.controller.plan(state, self.command, self.parameters)
        planned = self.controller.wrench.clone()
        self.controller.wrench.copy_(torch.where(self.is_late, self.last_wrench, planned))
        self.last_wrench = planned
        for substep in range(WORLD.num_substeps):
            self.robots.step(self.controller.torques(state if substep == 0 else self.robots.state()))

    def run(self) -> np.ndarray:
        """Return the mean velocities over the second half (B, 3) in the robots' own headings."""
        moved = np.zeros((len(self.push), 3))
        first = self.num_steps // 2
        for index in range(self.num_steps):
            pos, yaw = self.robots.root()
            if (now := self.push * (self.push_at == index)).any():
                angle = yaw + self.push_side
                self.robots.push(now[:, None] * np.stack((np.cos(angle), np.sin(angle)), 1))
            self.step()
            if index >= first:
                new_pos, new_yaw = self.robots.root()
                turned = np.angle(np.exp(1j * (new_yaw - yaw)))
                step = ((new_pos - pos) @ (1.0, 1j, 0.0)) * np.exp(-1j * (yaw + 0.5 * turned))
                moved += np.stack((step.real, step.imag, turned), 1)
        return moved / ((self.num_steps - first) * self.controller.walk.control_dt)


def result(gate: Gate, is_up: np.ndarray, velocity: np.ndarray) -> dict[str, float]:
    """Return counts, mean velocity, and the mean size of its error per robot, of those that stood."""
    line: dict[str, float] = {"robots": len(is_up), "up": int(is_up.sum())}
    if is_up.any():
        error = np.abs(velocity[is_up] - gate.command).mean(0)
        for index, name in enumerate(("vx", "vy", "wz")):
            line |= {name: float(velocity[is_up, index].mean()), f"{name}_error": float(error[index])}
    return line


def main(arguments: list[str]) -> None:
    """Run the gates and print the results.

    Raises:
        UserError: for an argument that is not accepted.
    """
    config = settings(Config, arguments)
    check_settings(config)
    gates = {name: GATES[name] for name in config.gates}
    torch.set_num_threads(1)
    trial = Trial([gate for gate in gates.values() for _ in range(config.robots)], config)
    velocities = trial.run()
    has_failed = False
    for index, (name, gate) in enumerate(gates.items()):
        here = slice(index * config.robots, (index + 1) * config.robots)
        is_up = ~trial.robots.has_fallen[here]
        fallen = np.degrees(trial.push_side[here][~is_up] % (2.0 * np.pi)).round().tolist()
        sides = {"fallen_sides_deg": fallen} if gate.push else {}
        print_line({"gate": name, "seed": config.seed, **result(gate, is_up, velocities[here]), **sides})
        has_failed |= gate.must_hold and bool(is_up.mean() < REQUIRED)
    if has_failed:
        sys.exit(1)


if __name__ == "__main__":
    run_command(main)
