"""The controller: from the state of the robots to the efforts of their joints, with nothing learned in it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rlmpc.mpc.parameters import Parameters
from rlmpc.mpc.robot import MpcRobot
from rlmpc.mpc.settings import MpcSettings
from rlmpc.mpc.state import RobotState
from rlmpc.mpc.walk_settings import WalkSettings


class Controller(nn.Module):
    """Plans contact wrenches every control step and makes torques of them every physics step, for B robots.

    Call `plan`, then `torques` before every physics step of that control step. All that outlives a call is in buffers
    of fixed address that change in place: `state_dict` is the whole state, and both calls can be recorded as CUDA
    graphs.

    The drives of the leg joints have stiffness and damping zero; all others hold the default pose with the gains in
    `robot.stiffness` and `robot.damping` (J,). Either kind gets the efforts as feed-forward.

    Buffers to observe:
        phase (B,): of the gait cycle in [0, 1); below 0 while both feet wait for the first step.
        contact_table (B, N, 2) bool: which feet are planned to be down in the horizon's steps.
        wrench (B, 2, 6): last planned force [N] and moment [N m] on the soles, world frame.
        foothold (B, 2, 3): where the feet are to land [m], world frame; of a foot that is down, its last.
        cost, residual, accepted (B,): of the last solve.

    Args:
        robot: facts of the robot.
        settings: of the predictive model and its solver.
        walk: of gait, footholds and swing.
        num_envs: B.
        device: where the robots are.
    """

    def __init__(
        self, robot: MpcRobot, settings: MpcSettings, walk: WalkSettings, num_envs: int, device: torch.device | str
    ) -> None:
        super().__init__()
        raise NotImplementedError

    def reset(self, mask: Tensor, state: RobotState) -> None:
        """Begin anew, standing, for the robots of `mask` (B,) bool; `state` is their state after their reset."""
        raise NotImplementedError

    def plan(self, state: RobotState, command: Tensor, parameters: Parameters) -> None:
        """Plan the wrenches of the next control step.

        Args:
            state: of the robots now.
            command: vx, vy [m/s] and yaw rate [rad/s] in the yaw frame (B, 3). Zero: stand, unless
                `parameters.steps`.
            parameters: hold until the next plan.
        """
        raise NotImplementedError

    def torques(self, state: RobotState) -> Tensor:
        """Return the efforts [N m] for the next physics step (B, J), within the limits, and advance the gait."""
        raise NotImplementedError
