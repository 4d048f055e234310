"""Turns what a robot senses into targets of its joints, by the same code that plays the policy in MuJoCo."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rlmpc.contract.actuation import controller_of
from rlmpc.contract.contract import Contract
from rlmpc.deploy.robot import Drive, RobotState
from rlmpc.errors import UserError
from rlmpc.export.deployment import Deployment
from rlmpc.robots.quaternions import gravity_in
from rlmpc.sim2sim.actions import Actions
from rlmpc.sim2sim.observer import PLANNED, Observer
from rlmpc.sim2sim.policy import Policy


class Senses:
    """What `rlmpc.sim2sim.observer` observes: the last state that was put in.

    Args:
        contract: the policy's.
    """

    where = "on a robot"
    controller = None

    def __init__(self, contract: Contract) -> None:
        num_joints = len(contract.joints["names"])
        self.actions = Actions(contract)
        self.default_pos = np.array(contract.joints["default_pos"])
        self.command = np.zeros(3)
        self.joint_pos, self.joint_vel = np.zeros(num_joints), np.zeros(num_joints)
        self.root_ang_vel_b, self.gravity_b = np.zeros(3), np.array([0.0, 0.0, -1.0])

    def put(self, state: RobotState, command: Sequence[float]) -> None:
        """Take over a state and the command (3,)."""
        self.joint_pos, self.joint_vel = state.joint_pos, state.joint_vel
        self.root_ang_vel_b, self.gravity_b = state.ang_vel_b, gravity_in(state.quat_wxyz)
        self.command = np.asarray(command, dtype=float)

    def scan(self) -> np.ndarray:
        """Refuse: robots have no scanner here."""
        raise NotImplementedError

    def lacks(self) -> set[str]:
        """Return the observation terms that cannot be sensed with this contract."""
        return {"height_scan", *PLANNED} | (set() if self.actions.clock is not None else {"gait_phase"})


class Driver:
    """An exported policy with its histories, memories and gait clock.

    Args:
        deployment: the exported policy.

    Raises:
        UserError: if it moves no robot, or needs a sensor or an action that robots do not have here.
    """

    def __init__(self, deployment: Deployment) -> None:
        joints = deployment.contract.joints
        if not joints:
            raise UserError(f"the policy in '{deployment.path}' moves no robot")
        if controller_of(deployment.contract.actions) is not None:
            raise UserError(
                f"the policy in '{deployment.path}' acts through a predictive controller, which needs the velocity of "
                f"the root, and robots tell none here; in MuJoCo it walks: python play.py ckpt={deployment.path} "
                "backend=mujoco"
            )
        self._senses = Senses(deployment.contract)
        self._observer = Observer(deployment.contract, deployment.groups, self._senses)
        self._policy = Policy(deployment)
        self._gains = np.array(joints["stiffness"]), np.array(joints["damping"])
        self.default_pos = self._senses.default_pos
        # The first call of a graph takes longer than a control step.
        self._policy.act(self._observer.observe())
        self._observer.reset()

    @property
    def action_is_finite(self) -> bool:
        """Whether the last action was."""
        return self._senses.actions.are_finite

    def reset(self, rng: np.random.Generator) -> None:
        """Forget histories and memories and draw a phase of the gait, as at the start of an episode."""
        self._senses.actions.reset(rng)
        self._observer.reset()
        self._policy.reset()

    def step(self, state: RobotState, command: Sequence[float]) -> Drive:
        """Return what the policy wants of the joints, for the command vx, vy [m/s] and yaw rate [rad/s]."""
        self._senses.put(state, command)
        return self.towards(self._senses.actions.process(self._policy.act(self._observer.observe())))

    def towards(self, targets: np.ndarray) -> Drive:
        """Return targets (J,) [rad] with the gains of training."""
        return Drive(targets, *self._gains)
