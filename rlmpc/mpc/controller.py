"""The controller: from the state of the robots to the efforts of their joints, with nothing learned in it."""

from __future__ import annotations

from dataclasses import fields

import torch
from torch import Tensor, nn

from rlmpc.config.setting import check_settings
from rlmpc.mpc.body import Body
from rlmpc.mpc.foothold import capture_point, footholds, upcoming_feet
from rlmpc.mpc.gait import Gait
from rlmpc.mpc.legs import Legs, LegState
from rlmpc.mpc.momentum import Momentum, WholeBody
from rlmpc.mpc.parameters import Parameters
from rlmpc.mpc.precision import full_precision
from rlmpc.mpc.predictive import Predictive
from rlmpc.mpc.reference import Reference
from rlmpc.mpc.robot import MpcRobot
from rlmpc.mpc.rotations import roll_pitch_yaw, rotate, rotation_vector, yaw_matrix
from rlmpc.mpc.settings import MpcSettings
from rlmpc.mpc.srb import GRAVITY, MOMENT_ARM_M
from rlmpc.mpc.stance import stance_torques
from rlmpc.mpc.state import RobotState
from rlmpc.mpc.swing import Swing
from rlmpc.mpc.walk_settings import WalkSettings

_STILL = 1.0e-3
"""A command below this stands [m/s, rad/s]."""


class Controller(nn.Module):
    """Plans contact wrenches every control step and makes torques of them every physics step, for B robots.

    Call `plan`, then `torques` before every physics step of that control step. All that outlives a call is in buffers
    of fixed address that change in place: `state_dict` is the whole state, and both calls can be recorded as CUDA
    graphs.

    The drives of the leg joints have stiffness and damping zero; all others hold the default pose with the gains in
    `robot.stiffness` and `robot.damping` (J,). Either kind gets the efforts as feed-forward.

    Args:
        robot: facts of the robot.
        settings: of the predictive model and its solver.
        walk: of gait, footholds and swing.
        num_envs: B.
        device: where the robots are.

    Raises:
        UserError: for settings that are not accepted.
    """

    contact_table: Tensor
    """Which feet are planned to be down in the horizon's steps (B, N, 2) bool."""
    wrench: Tensor
    """Last planned force [N] and moment [N m] on the soles, world frame (B, 2, 6)."""
    cost: Tensor
    """Of the last solve (B,); so are `residual` (B,) and `accepted` (B,) bool."""
    residual: Tensor
    accepted: Tensor
    root_change: Tensor
    """Planned change of the centre of mass' velocity until the next plan (B, 3) [m/s]."""
    inverse_inertia: Tensor
    root_com: Tensor
    leg_damping: Tensor
    effort_limit: Tensor
    leg_joints: Tensor

    def __init__(
        self, robot: MpcRobot, settings: MpcSettings, walk: WalkSettings, num_envs: int, device: torch.device | str
    ) -> None:
        super().__init__()
        check_settings(walk)
        self.robot, self.settings, self.walk = robot, settings, walk
        self.is_fused = settings.uses_warp
        inertia = tuple(tuple(row) for row in robot.inertia.tolist())
        body = Body(robot.mass, inertia, *robot.sole_half_size.tolist())  # pyright: ignore[reportArgumentType]
        self.predictive = Predictive(body, settings, num_envs, "cpu")
        self.legs, self.momentum = Legs(robot), Momentum(robot)
        self.gait, self.swing = Gait(walk, num_envs), Swing(walk, num_envs)
        self.reference = Reference(walk, num_envs)
        nominal = Parameters.nominal(settings, walk, num_envs)
        for field in fields(Parameters):
            self.register_buffer(f"parameter_{field.name}", getattr(nominal, field.name))
        for name, shape in (("wrench", (2, 6)), ("root_change", (3,)), ("cost", ()), ("residual", ())):
            self.register_buffer(name, torch.zeros(num_envs, *shape))
        self.register_buffer("accepted", torch.ones(num_envs, dtype=torch.bool))
        self.register_buffer("contact_table", torch.ones(num_envs, settings.horizon, 2, dtype=torch.bool))
        hip_and_knee, ankle = walk.leg_damping
        dtype = torch.get_default_dtype()
        for name, value in {
            "inverse_inertia": torch.linalg.inv(torch.as_tensor(robot.inertia)).to(dtype),
            "root_com": torch.as_tensor(robot.link_com[0], dtype=dtype),
            "leg_damping": torch.tensor([hip_and_knee] * 4 + [ankle] * 2),
            "effort_limit": torch.as_tensor(robot.effort_limit, dtype=dtype),
            "leg_joints": torch.as_tensor(robot.leg_joints.ravel()),
        }.items():
            self.register_buffer(name, value, persistent=False)
        self.to(device)

    @property
    def parameters_now(self) -> Parameters:
        """The parameters of the last plan."""
        return Parameters(*(self.get_buffer(f"parameter_{field.name}") for field in fields(Parameters)))

    @property
    def foothold(self) -> Tensor:
        """Where the feet are to land [m], world frame, (B, 2, 3); of a foot that is down, where it was."""
        return self.swing.foothold

    @property
    def leg_phase(self) -> Tensor:
        """Phase of each leg in [0, 1), left then right, (B, 2)."""
        return torch.stack((self.gait.phase, self.gait.phase + 0.5), 1) % 1.0

    @property
    def failures(self) -> Tensor:
        """Solves in a row that were not accepted (B,)."""
        return self.predictive.failures

    @torch.no_grad()
    @full_precision()
    def relative_wrench(self, yaw: Tensor) -> Tensor:
        """Return the planned forces by the robot's weight and moments by its weight at `MOMENT_ARM_M`, (B, 12).

        Left force, left moment, then right; in the frame of headings `yaw` (B,) [rad].
        """
        turned = self.wrench.unflatten(2, (2, 3)) @ yaw_matrix(yaw).unsqueeze(1)
        force, moment = turned.unbind(2)
        return torch.cat((force, moment / MOMENT_ARM_M), 2).flatten(1) / (GRAVITY * self.robot.mass)

    @torch.no_grad()
    @full_precision()
    def reset(self, mask: Tensor, state: RobotState) -> None:
        """Begin anew, standing, for the robots of `mask` (B,) bool; `state` is their state after their reset."""
        self.predictive.reset(mask)
        self.gait.reset(mask)
        legs, whole = self._bodies(state)
        yaw = roll_pitch_yaw(state.link_rot[:, 0])[:, 2]
        self.reference.reset(mask, whole.com, yaw, legs.sole_pos[..., 2].amin(-1))
        self.swing.reset(mask, legs.sole_pos, yaw)
        column = mask[:, None, None]
        self.contact_table.logical_or_(column)
        for buffer in (self.wrench, self.root_change, self.cost, self.residual):
            buffer.masked_fill_(mask.reshape(-1, *[1] * (buffer.dim() - 1)), 0.0)
        self.accepted.logical_or_(mask)

    @torch.no_grad()
    @full_precision()
    def plan(self, state: RobotState, command: Tensor, parameters: Parameters) -> None:
        """Plan the wrenches of the next control step.

        Args:
            state: of the robots now.
            command: vx, vy [m/s] and yaw rate [rad/s] in the yaw frame (B, 3). Zero: stand, unless
                `parameters.steps`.
            parameters: hold until the next plan.
        """
        now = self.parameters_now
        for field in fields(Parameters):
            getattr(now, field.name).copy_(getattr(parameters, field.name))
        now.steps.logical_or_((command.abs() > _STILL).any(-1))
        legs, whole = self._bodies(state)
        angles = roll_pitch_yaw(state.link_rot[:, 0])
        is_down = (~self.gait.is_swinging).unsqueeze(-1)
        middle = (legs.sole_pos * is_down).sum(1) / is_down.sum(1).clamp(min=1)
        walks = self.gait.is_stepping & (self.gait.stepping_s > now.period)
        self.reference.advance(command, walks, whole.com, angles[:, 2], middle, self.gait.is_stepping)
        horizon, step_s = self.settings.horizon, self.settings.step_s
        self.contact_table.copy_(self.gait.contact_table(horizon, step_s, now.period))
        turn = yaw_matrix(self.reference.yaw)
        lacking = self._lacking(now, turn)
        feet = upcoming_feet(
            self.contact_table, legs.sole_pos, self.foothold, self.reference.command, now.period, turn, self.walk
        )
        solution = self.predictive.solve(
            torch.cat((angles, whole.com, self._angular_velocity(whole, angles[:, 2]), whole.com_vel), -1),
            feet,
            self.contact_table,
            self.reference.horizon(horizon, step_s, self.settings.com_height) - lacking,
            now.friction,
        )
        self.wrench.copy_(solution.wrench)
        change = (solution.predicted + lacking)[:, 0, 9:] - whole.com_vel
        self.root_change.copy_(change * (self.walk.control_dt / step_s))
        for name in ("cost", "residual", "accepted"):
            getattr(self, name).copy_(getattr(solution, name))

    @torch.no_grad()
    @full_precision()
    def torques(self, state: RobotState) -> Tensor:
        """Return the efforts [N m] for the next physics step (B, J), within the limits, and advance the gait."""
        legs, whole = self._bodies(state)
        leg_torques = self._leg_torques_by_kernels if self.is_fused else self._leg_torques
        leg_efforts = leg_torques(state, legs, whole)
        efforts = whole.gravity_torque.index_copy(1, self.leg_joints, leg_efforts.flatten(1))
        return torch.maximum(torch.minimum(efforts, self.effort_limit), -self.effort_limit)

    def _bodies(self, state: RobotState) -> tuple[LegState, WholeBody]:
        """Return the legs and the sums over all links."""
        if not self.is_fused:
            return self.legs(state), self.momentum(state)
        # Only where there is Warp.
        from rlmpc.mpc.kernels.bodies import leg_state, whole_body

        return leg_state(self.legs, state), whole_body(self.momentum, state)

    def _leg_torques(self, state: RobotState, legs: LegState, whole: WholeBody) -> Tensor:
        """Let the gait go on by a physics step; return the torques of the legs, not yet within limits, (B, 2, 6)."""
        now = self.parameters_now
        point = capture_point(whole.com, whole.com_vel, self.settings.com_height)
        turn = yaw_matrix(self.reference.yaw)
        self._decide(now, legs, whole, point, turn)
        self.swing.lift(self.gait.touch(state.sole_force), legs)
        is_swinging = self.gait.is_swinging
        error = self._place(now, legs, point, turn)
        share, speed = self.gait.share(now.period)
        path = self.swing.path(
            share,
            speed,
            self.reference.yaw.unsqueeze(-1),
            self.gait.late_s,
            now.swing_height.unsqueeze(-1),
            now.swing_shape.unsqueeze(-1),
        )
        self.gait.advance((error * is_swinging).sum(-1), now.period)
        carrying = stance_torques(legs, self.wrench, state.link_pos[:, 0], self._root_twist(state), self.leg_damping)
        return torch.where(is_swinging.unsqueeze(-1), self.swing.torques(path, legs), carrying)

    def _leg_torques_by_kernels(self, state: RobotState, legs: LegState, whole: WholeBody) -> Tensor:
        """Do the same as `_leg_torques`, in three kernels."""
        from rlmpc.mpc.kernels.efforts import leg_torques
        from rlmpc.mpc.kernels.gait import lift_and_land
        from rlmpc.mpc.kernels.swing import swing_feet
        from rlmpc.mpc.kernels.walking import walking

        walk = walking(self.walk, self.settings.com_height)
        parts = self.gait, self.swing, self.reference, self.parameters_now, legs, whole
        lift_and_land(walk, *parts, state.sole_force)
        path = swing_feet(walk, *parts)
        plan = self.gait.is_swinging, self.wrench, self.root_change
        return leg_torques(walk, state, legs, path, self.reference, *plan, self.root_com, self.leg_damping)

    def _angular_velocity(self, whole: WholeBody, yaw: Tensor) -> Tensor:
        """Return the angular momentum over the composite inertia in the default pose (B, 3) [rad/s]."""
        turn = yaw_matrix(yaw)
        return rotate(turn, rotate(self.inverse_inertia, rotate(turn.mT, whole.angular_momentum)))

    def _lacking(self, now: Parameters, turn: Tensor) -> Tensor:
        """Return what the model's states lack after each step (B, N, 12), by the accelerations of the parameters.

        The cost holds the difference of states and reference alone, so the reference can take it.
        """
        times = self.settings.step_s * torch.arange(1, self.settings.horizon + 1, device=turn.device)[:, None]
        angular, linear = rotate(turn, now.angular_acc).unsqueeze(1), rotate(turn, now.linear_acc).unsqueeze(1)
        angles, halves = now.angular_acc.unsqueeze(1), 0.5 * times**2
        return torch.cat((halves * angles, halves * linear, times * angular, times * linear), -1)

    def _decide(self, now: Parameters, legs: LegState, whole: WholeBody, point: Tensor, turn: Tensor) -> None:
        """Start or end stepping."""
        middle = legs.sole_pos[..., :2].mean(1)
        offset = rotate(turn[:, :2, :2].mT, point - middle)
        distances = (point.unsqueeze(1) - legs.sole_pos[..., :2]).norm(dim=-1)
        farther = (distances[:, 1] > distances[:, 0]).to(distances.dtype)
        speed = whole.com_vel[:, :2].norm(dim=-1)
        self.gait.decide(now.steps, offset, farther, speed, now.period)

    def _place(self, now: Parameters, legs: LegState, point: Tensor, turn: Tensor) -> Tensor:
        """Set the footholds of the swinging feet; return their distances from the nominal ones (B, 2) [m]."""
        others = legs.sole_pos.flip(1)
        from_other = rotate(turn[:, None, :2, :2].mT, point.unsqueeze(1) - others[..., :2])
        left_s = self.gait.swing_left_s(now.period)
        wanted, error = footholds(
            from_other, left_s, self.reference.command, now.period, self.settings.com_height, self.walk
        )
        level = rotate(turn[:, None, :2, :2], wanted + now.foothold_offset)
        rise = (now.foothold_rise - self.walk.press_m).unsqueeze(-1)
        places = others + torch.cat((level, rise), -1)
        self.foothold.copy_(torch.where(self.gait.is_swinging.unsqueeze(-1), places, self.foothold))
        return error

    def _root_twist(self, state: RobotState) -> Tensor:
        """Return the velocity and angular velocity that the root should have (B, 6), world frame."""
        root = state.link_rot[:, 0]
        omega = state.link_ang_vel[:, 0]
        linear = state.link_com_vel[:, 0] - torch.linalg.cross(omega, rotate(root, self.root_com))
        tilt = rotation_vector(root @ yaw_matrix(self.reference.yaw).mT)
        angular = -self.walk.upright_gain * tilt
        angular[:, 2] += self.reference.command[:, 2]
        return torch.cat((linear + self.root_change, angular), -1)
