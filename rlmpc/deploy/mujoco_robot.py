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
"""How high the gantry holds the robot above where its feet just clear the ground, until it stands up."""
LOWERING_M_S = 0.05
"""How fast it is let down then."""
STIFFNESS, DAMPING = 5000.0, 500.0
"""Of the gantry's straps [N/m, N s/m]."""
TURN_STIFFNESS, TURN_DAMPING = 200.0, 5.0
"""The same against turning [N m/rad, N m s/rad]."""


class Gantry:
    """Carries the weight of a robot by its torso, as the straps do from which one hangs for its first steps.

    Args:
        simulation: the robot at its start.
    """

    def __init__(self, simulation: Simulation) -> None:
        self._data, self._timestep = simulation.data, simulation.model.opt.timestep
        self._torso = simulation.model.body(simulation.robot.torso).id
        self._weight = simulation.model.body_subtreemass[1] * -simulation.model.opt.gravity
        self._lifted_m = LIFTED_M
        self._data.qpos[2] += LIFTED_M
        simulation.settle()
        self._place = self._data.xipos[self._torso].copy()
        self._place[2] -= LIFTED_M
        self._axes = self._data.xmat[self._torso].reshape(3, 3).copy()

    def carry(self, is_lowering: bool) -> None:
        """Pull for one physics step."""
        if is_lowering:
            self._lifted_m = max(self._lifted_m - LOWERING_M_S * self._timestep, 0.0)
        data, torso = self._data, self._torso
        turning, moving = data.cvel[torso, :3], data.cvel[torso, 3:]
        # MuJoCo gives the velocity of a body at the centre of mass of its tree.
        velocity = moving + np.cross(turning, data.xipos[torso] - data.subtree_com[1])
        off = self._place - data.xipos[torso]
        off[2] += self._lifted_m
        turned = 0.5 * np.cross(data.xmat[torso].reshape(3, 3), self._axes, axis=0).sum(axis=1)
        data.xfrc_applied[torso, :3] = self._weight + STIFFNESS * off - DAMPING * velocity
        data.xfrc_applied[torso, 3:] = TURN_STIFFNESS * turned - TURN_DAMPING * turning

    def let_go(self) -> None:
        """Pull no more."""
        self._data.xfrc_applied[self._torso] = 0.0


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
        self.simulation.data.qvel[:] = 0.0
        self._gantry: Gantry | None = Gantry(self.simulation)
        self._mode = Mode.DAMPING
        self._clock, self._start = clock, clock.now()

    def read(self) -> RobotState:
        """Let time pass until now and return the state."""
        simulation = self.simulation
        while self._start + simulation.data.time + simulation.model.opt.timestep <= self._clock.now():
            if self._gantry is not None:
                self._gantry.carry(self._mode is Mode.STAND_UP)
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
        if mode is Mode.POLICY and self._gantry is not None:
            self._gantry.let_go()
            self._gantry = None
