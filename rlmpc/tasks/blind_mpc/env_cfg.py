"""Environments of `blind_mpc`: training, playing, and both on flat ground."""

from isaaclab.managers import ObservationGroupCfg, ObservationTermCfg, TerminationTermCfg
from isaaclab.utils import configclass

from rlmpc.mpc.robot import MpcRobot
from rlmpc.robots.robot import Robot
from rlmpc.tasks import mdp
from rlmpc.tasks.blind_rl.env_cfg import BlindEnvCfg, BlindFlatEnvCfg
from rlmpc.tasks.locomotion_env_cfg import in_play_mode
from rlmpc.tasks.observations_cfg import PolicyCfg, PrivilegedCfg, TrackedTermsCfg
from rlmpc.tasks.terminations_cfg import TerminationsCfg

_ACTION = {"action_name": "mpc"}


@configclass
class MpcActionsCfg:
    """Parameters of the predictive controller, which moves all joints; then targets of the upper body, if any."""

    mpc = mdp.MpcActionCfg()

    joint_pos: mdp.JointPositionActionCfg | None = None
    """Derived from `upper_body_scale`."""


@configclass
class PlanTermsCfg(ObservationGroupCfg):
    """What the controller on the robot plans. 35 values, and those of the parameters that the policy sets."""

    planned_contacts = ObservationTermCfg(func=mdp.planned_contacts, params=_ACTION)
    """Which feet are planned to be down, left, right of each step of the horizon; 2 x 10."""

    mpc_parameters = ObservationTermCfg(func=mdp.mpc_parameters, params=_ACTION)
    """Parameters that the policy has set, after clipping; 3, 9 or 11, and the friction."""

    planned_wrench = ObservationTermCfg(func=mdp.planned_wrench, params=_ACTION)
    """Planned force and moment of each sole, heading frame; 2 x 6."""


@configclass
class SolveTermsCfg(ObservationGroupCfg):
    """How the controller's last solve went. 2 values."""

    mpc_cost = ObservationTermCfg(func=mdp.mpc_cost, params=_ACTION)
    """Logarithm of the cost; 1."""

    mpc_residual = ObservationTermCfg(func=mdp.mpc_residual, params=_ACTION)
    """Residual by the largest accepted one; 1."""


@configclass
class MpcPolicyCfg(PolicyCfg, PlanTermsCfg):
    """The plan, then the observations of the blind task's policy."""


@configclass
class MpcTeacherCfg(PrivilegedCfg, PlanTermsCfg):
    """The plan, then everything else, without noise."""


@configclass
class MpcCriticCfg(MpcTeacherCfg, SolveTermsCfg, TrackedTermsCfg):
    """The average error of the velocity, how the solve went, then what the teacher sees."""


@configclass
class MpcObservationsCfg:
    """Observation groups: the deployed policy's, the critic's and the teacher's."""

    policy: MpcPolicyCfg = MpcPolicyCfg()
    critic: MpcCriticCfg = MpcCriticCfg()
    teacher: MpcTeacherCfg = MpcTeacherCfg()


@configclass
class MpcTerminationsCfg(TerminationsCfg):
    """Those of all tasks, and a controller that finds no wrenches."""

    unsolved = TerminationTermCfg(func=mdp.unsolved, params=_ACTION)


@configclass
class BlindMpcEnvCfg(BlindEnvCfg):
    """`blind_rl` with a predictive controller between policy and joints.

    Rewards that teach a gait are off: the controller has one.
    """

    actions: MpcActionsCfg = MpcActionsCfg()  # pyright: ignore[reportIncompatibleVariableOverride]  # other terms
    observations: MpcObservationsCfg = MpcObservationsCfg()  # pyright: ignore[reportIncompatibleVariableOverride]
    terminations: MpcTerminationsCfg = MpcTerminationsCfg()
    yaw_action_scale: float | None = None
    """None: no action is the target of a leg's joint."""

    upper_body_scale: float | None = None
    """Change of the target of each joint that is no leg's by a unit of action [rad]; None: they hold the default pose.

    One more action for each of them, 17 of the G1.
    """

    def __post_init__(self) -> None:
        """Switch off what teaches a gait, and let the observed phase be the controller's."""
        for name in ("gait_period", "gait_phase", "swing_clearance"):
            setattr(self.rewards, name, None)
        for group in (self.observations.policy, self.observations.critic, self.observations.teacher):
            if group.gait_phase is not None:
                group.gait_phase.params |= _ACTION
        super().__post_init__()

    def start_actions(self, robot: Robot) -> None:
        """Give the drives the controller's gains: none in the legs, a stiffer waist."""
        facts = MpcRobot.of(robot)
        names = robot.description.joint_names
        for drive in robot.description.actuators:
            joints = [name for name in names if robot.description.actuator_by_joint[name] is drive]
            actuator = self.scene.robot.actuators[drive.name]
            actuator.stiffness = {name: float(facts.stiffness[names.index(name)]) for name in joints}
            actuator.damping = {name: float(facts.damping[names.index(name)]) for name in joints}
        self.derive_actions(robot)

    def derive_actions(self, robot: Robot) -> None:
        """Check the controller's settings, and set its times to those of the simulation.

        Raises:
            ValueError: If no controller can be made of them.
        """
        if self.yaw_action_scale is not None:
            raise ValueError("yaw_action_scale has no effect: no action of this task is the target of a leg's joint")
        self.actions.mpc.check("env.actions.mpc")
        self.actions.mpc.use_times(self.decimation * self.sim.dt, self.sim.dt)
        self.actions.joint_pos = None
        if self.upper_body_scale is not None:
            legs, names = MpcRobot.of(robot).leg_joints, robot.description.joint_names
            self.actions.joint_pos = mdp.JointPositionActionCfg(
                asset_name="robot",
                joint_names=[name for index, name in enumerate(names) if index not in legs],
                scale=self.upper_body_scale,
                use_default_offset=True,
            )


@configclass
class BlindMpcFlatEnvCfg(BlindMpcEnvCfg, BlindFlatEnvCfg):
    """`blind_mpc` on the ground of `blind_rl_flat`."""


BlindMpcPlayEnvCfg = in_play_mode(BlindMpcEnvCfg)
BlindMpcFlatPlayEnvCfg = in_play_mode(BlindMpcFlatEnvCfg)
