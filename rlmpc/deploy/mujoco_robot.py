"""The policy's robot in MuJoCo, at the pace of the clock: what the robot of metal is, to the loop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rlmpc.contract.contract import Contract
from rlmpc.deploy.robot import Clock, Drive, Mode, RobotState
from rlmpc.sim2sim.ground import FLAT
from rlmpc.sim2sim.simulation import Simulation, world_of

GROUND_M = 500.0
"""Flat ground on every side: enough for a quarter of an hour."""
LIFTED_M = 0.1
"""How high a gantry holds the robot above where its feet just clear the ground, until it stands up."""
LOWERING_M_S = 0.05
"""How fast it is let down then."""


class MujocoRobot:
    """A robot that hangs on a gantry until the policy acts.

    Physics goes on when the robot is read, up to that time, in whole steps of its own.

    Args:
        contract: the policy's.
        clock: the time that physics keeps up with.
        seed: of the heading at the start.

    Raises:
        UserError: if MuJoCo does not serve the policy's robot or actions.
    """

    def __init__(self, contract: Contract, clock: Clock, seed: int) -> None:
        world = world_of(contract)
        ground = replace(world.terrain, border_width_m=GROUND_M)
        self.simulation = Simulation(replace(contract, world=replace(world, terrain=ground)), FLAT, 0)
        self.simulation.reset(np.random.default_rng(seed), (0.0, 0.0, 0.0))
        self._held: np.ndarray | None = self.simulation.data.qpos[:7].copy()
        self._lifted_m = LIFTED_M
        self._mode = Mode.DAMPING
        self._clock, self._start = clock, clock.now()

    def read(self) -> RobotState:
        """Let time pass until now and return the state."""
        simulation = self.simulation
        timestep = simulation.model.opt.timestep
        while self._start + simulation.data.time + timestep <= self._clock.now():
            self._hold(timestep)
            simulation.advance()
        return RobotState(
            self._start + simulation.data.time,
            simulation.joint_pos.copy(),
            simulation.joint_vel.copy(),
            simulation.joint_torque.copy(),
            simulation.root_quat_wxyz.copy(),
            simulation.root_ang_vel_b.copy(),
        )

    def write(self, drive: Drive) -> None:
        """Set targets and gains."""
        self.simulation.set_drives(drive.targets, drive.stiffness, drive.damping)

    def enter(self, mode: Mode) -> None:
        """Let the robot down while it stands up, and let it go when the policy acts."""
        self._mode = mode
        if mode is Mode.POLICY:
            self._held = None

    def _hold(self, timestep: float) -> None:
        if self._held is None:
            return
        if self._mode is Mode.STAND_UP:
            self._lifted_m = max(self._lifted_m - LOWERING_M_S * timestep, 0.0)
        data = self.simulation.data
        data.qpos[:7], data.qvel[:6] = self._held, 0.0
        data.qpos[2] += self._lifted_m
