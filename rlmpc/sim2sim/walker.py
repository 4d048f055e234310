"""A policy that controls the robot on one trial's ground."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from rlmpc.contract.contract import Contract
from rlmpc.contract.episode import Trial
from rlmpc.contract.world import World
from rlmpc.errors import UserError
from rlmpc.export.deployment import Deployment
from rlmpc.sim2sim.ground import FLAT, make_ground
from rlmpc.sim2sim.observer import Observer
from rlmpc.sim2sim.policy import Policy
from rlmpc.sim2sim.simulation import Simulation, world_of


def check_trial(trial: Trial, world: World) -> None:
    """Refuse a trial without a velocity command, or on ground that MuJoCo does not have.

    Raises:
        UserError: if the trial is refused, with what is accepted.
    """
    if len(trial.command) != 3:
        raise UserError(f"the command {list(trial.command)} is not vx, vy and yaw rate")
    make_ground(world.terrain, trial.terrain, trial.level)


def check_served(contract: Contract, groups: Iterable[str]) -> None:
    """Refuse a policy that MuJoCo does not serve.

    Args:
        contract: what the policy and its environment agree upon.
        groups: observation groups that it reads.

    Raises:
        UserError: for an unknown robot, action or observation.
    """
    Observer(contract, groups, Simulation(contract, FLAT, 0))


class Walker:
    """Observes and acts, step by step.

    Args:
        deployment: the exported policy.
        trial: ground and command.

    Raises:
        UserError: for a trial without a velocity command, or one that MuJoCo does not serve.
    """

    def __init__(self, deployment: Deployment, trial: Trial) -> None:
        check_trial(trial, world_of(deployment.contract))
        self.simulation = Simulation(deployment.contract, trial.terrain, trial.level)
        self._observer = Observer(deployment.contract, deployment.groups, self.simulation)
        self._policy = Policy(deployment)
        self._command = trial.command

    def start(self, rng: np.random.Generator) -> None:
        """Start an episode from a state that `rng` draws."""
        self.simulation.reset(rng, self._command)
        self._observer.reset()
        self._policy.reset()

    def step(self) -> None:
        """Run one control step."""
        self.simulation.step(self._policy.act(self._observer.observe()))
