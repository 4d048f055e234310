"""The predictive controller as an action: a policy sets parameters of its gait and model, or nothing at all."""

import math
from dataclasses import replace
from typing import Any, cast

import torch
from isaaclab.assets import Articulation
from isaaclab.envs import ManagerBasedEnv, ManagerBasedRLEnv
from isaaclab.managers import ActionTerm, ActionTermCfg
from isaaclab.sensors import ContactSensor
from isaaclab.utils import configclass
from isaaclab.utils.math import matrix_from_quat

from rlmpc.config.setting import check_settings
from rlmpc.errors import UserError, nearest
from rlmpc.graphs import Replayed
from rlmpc.mpc.controller import Controller
from rlmpc.mpc.kernels.bodies import matrices
from rlmpc.mpc.parameters import WIDTHS, Parameters
from rlmpc.mpc.robot import MpcRobot
from rlmpc.mpc.settings import MpcSettings
from rlmpc.mpc.state import RobotState
from rlmpc.mpc.walk_settings import WalkSettings
from rlmpc.robots.table import robot_named
from rlmpc.tasks.mdp.selected import Selected, mask_of, write

OUTPUTS = {"mpc3": tuple(WIDTHS)[:3], "mpc9": tuple(WIDTHS)[:5], "mpc11": tuple(WIDTHS)[:6]}
"""Name of a set of outputs -> the parameters that the policy sets; the others keep their nominal values."""


class MpcAction(ActionTerm):
    """Actions that set parameters of a predictive controller, which makes the torques of all joints.

    A control step plans contact wrenches with the parameters nominal + scale x action, clipped; every physics step
    makes torques of them anew from the state at that moment. Zero is the nominal gait.

    Newton applies efforts beyond the limits, so the controller clips them. Drives must be implicit: with explicit ones
    Isaac Lab folds the physics steps of a control step into one call, and torques would be held for all of them.
    """

    cfg: "MpcActionCfg"
    _asset: Articulation

    def __init__(self, cfg: "MpcActionCfg", env: ManagerBasedEnv) -> None:
        """Make a controller for the environment's robot, standing everywhere."""
        super().__init__(cfg, env)
        robot = robot_named(cast(Any, env.cfg).robot)
        description = robot.description
        assert tuple(self._asset.body_names) == description.body_names
        assert tuple(self._asset.joint_names) == description.joint_names
        self._sensor = cast(ContactSensor, env.scene.sensors[cfg.sensor_name])
        soles, _ = self._sensor.find_sensors(list(robot.feet), preserve_order=True)
        self._soles = torch.tensor(soles, device=self.device)
        self.controller = Controller(MpcRobot.of(robot), cfg.model, cfg.walk, self.num_envs, self.device)
        self.parameters = Parameters.nominal(cfg.model, cfg.walk, self.num_envs, self.device)
        nominal = self.parameters.get(cfg.parameters)
        self._raw_actions = torch.zeros_like(nominal)
        self._processed_actions = torch.zeros_like(nominal)
        self._offset = nominal[0].clone()
        ranges = [getattr(cfg, name) for name in cfg.parameters for _ in range(WIDTHS[name])]
        self._scale = torch.tensor([each.scale for each in ranges], device=self.device)
        self._low = torch.tensor([each.low for each in ranges], device=self.device)
        self._high = torch.tensor([each.high for each in ranges], device=self.device)
        device = torch.device(self.device)
        self._plan = Replayed(self._plan_step, device)
        self._torques = Replayed(self._torques_step, device)

    @property
    def action_dim(self) -> int:
        """Number of actions: 3, 9 or 11, and one more for the friction."""
        return self._raw_actions.shape[1]

    @property
    def raw_actions(self) -> torch.Tensor:
        """Actions as the policy gave them. Shape is (N, A)."""
        return self._raw_actions

    @property
    def processed_actions(self) -> torch.Tensor:
        """The parameters that the policy sets, in their units. Shape is (N, A)."""
        return self._processed_actions

    @property
    def deviations(self) -> torch.Tensor:
        """The parameters' distances from the nominal ones by their scales. Shape is (N, A)."""
        return (self._processed_actions - self._offset) / self._scale

    @property
    def leg_phase(self) -> torch.Tensor:
        """Phase of each leg in [0, 1), left then right. Shape is (N, 2)."""
        return self.controller.leg_phase

    @property
    def numbers(self) -> dict[str, Any]:
        """What a contract tells of the term: a name and numbers for each action, and the controller's settings."""
        rows = {"offset": self._offset, "scale": self._scale, "low": self._low, "high": self._high}
        names = [name for name in self.cfg.parameters for _ in range(WIDTHS[name])]
        settings = {
            f"{part}.{name}": value
            for part in ("model", "walk")
            for name, value in vars(getattr(self.cfg, part)).items()
        }
        return {"parameters": names, **{name: row.tolist() for name, row in rows.items()}, **settings}

    @property
    def is_unsolved(self) -> torch.Tensor:
        """Whether too many solves in a row were not accepted, (N,) bool."""
        return self.controller.failures > self.cfg.model.max_failures

    def process_actions(self, actions: torch.Tensor) -> None:
        """Set the parameters from raw actions (N, A) and plan the control step."""
        env = cast(ManagerBasedRLEnv, self._env)
        self._raw_actions[:] = actions
        parameters = torch.addcmul(self._offset, self._scale, actions).clamp(self._low, self._high)
        self._processed_actions.copy_(parameters)
        self._plan(self._readings(), env.command_manager.get_command(self.cfg.command_name))
        # What an event or another process left there is not what the drives should hold.
        self._asset.actuators.target_command.set_position_index(value=self._asset.data.default_joint_pos.torch)

    def apply_actions(self) -> None:
        """Set the efforts of the next physics step."""
        assert not self._env._physics_handles_decimation, "torques are due before every physics step"
        self._asset.actuators.target_command.set_effort_index(value=self._torques(self._readings()))

    def reset(self, env_ids: Selected = None) -> None:
        """Let the controller begin anew in the selected environments, whose robots have already been placed."""
        mask = mask_of(self._env, env_ids)
        write(self._raw_actions, mask, 0.0)
        write(self._processed_actions, mask, self._offset.expand_as(self._processed_actions))
        self.controller.reset(mask, self._state(self._readings()))

    def _plan_step(self, readings: dict[str, torch.Tensor], command: torch.Tensor) -> None:
        """Set the controller's parameters and plan; a GPU records this."""
        self.parameters.set(self.cfg.parameters, self._processed_actions)
        self.controller.plan(self._state(readings), command, self.parameters)

    def _torques_step(self, readings: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the efforts of all joints (N, J) [N m]; a GPU records this."""
        return self.controller.torques(self._state(readings))

    def _readings(self) -> dict[str, torch.Tensor]:
        """Read what the simulator tells about the robots."""
        data, forces = self._asset.data, self._sensor.data.net_normal_forces_w
        assert forces is not None
        return {
            "pose": data.body_link_pose_w.torch,
            "velocity": data.body_com_vel_w.torch,
            "joint_pos": data.joint_pos.torch,
            "joint_vel": data.joint_vel.torch,
            "force": forces.torch,
        }

    def _state(self, readings: dict[str, torch.Tensor]) -> RobotState:
        """Return what the controller is told about the robots."""
        pose, velocity = readings["pose"], readings["velocity"]
        to_matrices = matrices if self.controller.is_fused else matrix_from_quat
        return RobotState(
            link_pos=pose[..., :3],
            link_rot=to_matrices(pose[..., 3:]),
            link_com_vel=velocity[..., :3],
            link_ang_vel=velocity[..., 3:],
            joint_pos=readings["joint_pos"],
            joint_vel=readings["joint_vel"],
            sole_force=readings["force"].index_select(1, self._soles)[..., 2],
        )


@configclass
class ParameterCfg:
    """What an action does to a parameter: clip(nominal + scale x action, low, high)."""

    scale: float = 1.0
    low: float = -math.inf
    high: float = math.inf


@configclass
class MpcActionCfg(ActionTermCfg):
    """Configuration of the predictive controller and of what a policy sets in it."""

    class_type: type = MpcAction

    asset_name: str = "robot"
    sensor_name: str = "contact_forces"
    command_name: str = "base_velocity"

    outputs: str = "mpc3"
    """What the policy sets: `mpc3` period, swing height and swing shape; `mpc9` also the linear and angular
    accelerations that the model lacks; `mpc11` also an offset of the footholds."""

    sets_friction: bool = False
    """Whether the policy also sets the friction that the controller assumes; one more action."""

    period: ParameterCfg = ParameterCfg(scale=0.1, low=0.4, high=0.8)
    swing_height: ParameterCfg = ParameterCfg(scale=0.03, low=0.02, high=0.2)
    swing_shape: ParameterCfg = ParameterCfg(scale=0.5, low=-1.0, high=1.0)
    linear_acc: ParameterCfg = ParameterCfg(scale=0.5, low=-3.0, high=3.0)
    angular_acc: ParameterCfg = ParameterCfg(scale=1.0, low=-6.0, high=6.0)
    foothold_offset: ParameterCfg = ParameterCfg(scale=0.05, low=-0.15, high=0.15)
    friction: ParameterCfg = ParameterCfg(scale=0.1, low=0.1, high=0.8)
    """What an action does to each parameter; units are those of `rlmpc.mpc.parameters`."""

    model: MpcSettings = MpcSettings()
    walk: WalkSettings = WalkSettings()

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters that the policy sets, in the order of its actions."""
        return OUTPUTS[self.outputs] + (("friction",) if self.sets_friction else ())

    def check(self, path: str) -> None:
        """Refuse what no controller can be made of; `path` comes before the names in messages.

        Raises:
            ValueError: If there is something, with what is accepted.
        """
        if self.outputs not in OUTPUTS:
            hint = nearest(self.outputs, OUTPUTS)
            raise UserError(f"unknown '{path}.outputs' {self.outputs!r}; accepted: {', '.join(OUTPUTS)}{hint}")
        for name in WIDTHS:
            setting = getattr(self, name)
            if not 0.0 < setting.scale < math.inf:
                raise UserError(f"'{path}.{name}.scale' must be above 0, not {setting.scale}")
            if not setting.low <= setting.high:
                raise UserError(f"'{path}.{name}.low' must be at most {setting.high} ('high'), not {setting.low}")
        for part in ("model", "walk"):
            settings = getattr(self, part)
            check_settings(settings, f"{path}.{part}.")
            if hasattr(settings, "check"):
                settings.check()

    def use_times(self, control_dt: float, physics_dt: float) -> None:
        """Set the times [s] between two plans and between two torques."""
        self.walk = replace(self.walk, control_dt=control_dt, physics_dt=physics_dt)
