"""Observation groups of the locomotion tasks: what the deployed policy senses, and what only the simulator knows.

Terms are concatenated in the order written here, the privileged ones first; a term with a history contributes its
frames from oldest to newest. Noise is applied before scale, and only in groups with `enable_corruption`. Widths are
for the G1, with 29 joints and 30 actions.
"""

# Isaac Lab annotates `func` as a function, but its managers also instantiate a class.
# pyright: reportArgumentType=false

from dataclasses import MISSING

from isaaclab.managers import ObservationGroupCfg, ObservationTermCfg, SceneEntityCfg
from isaaclab.utils import configclass
from isaaclab.utils.noise import UniformNoiseCfg

from rlmpc.tasks import mdp
from rlmpc.tasks.robot_parts import RobotPartCfg


@configclass
class SensedTermsCfg(ObservationGroupCfg):
    """What a real robot senses or knows: joints, IMU, command, its own actions and gait clock. 779 values."""

    joint_pos = ObservationTermCfg(
        func=mdp.joint_pos_rel, noise=UniformNoiseCfg(n_min=-0.01, n_max=0.01), history_length=10
    )
    """Joint positions minus the default pose [rad]; 29 x 10 frames."""

    joint_vel = ObservationTermCfg(
        func=mdp.joint_vel_rel, noise=UniformNoiseCfg(n_min=-1.5, n_max=1.5), scale=0.05, history_length=10
    )
    """Joint velocities [rad/s]; 29 x 10 frames."""

    base_ang_vel = ObservationTermCfg(
        func=mdp.base_ang_vel, noise=UniformNoiseCfg(n_min=-0.2, n_max=0.2), scale=0.2, history_length=5
    )
    """Angular velocity of the root in its own frame [rad/s]; 3 x 5 frames."""

    projected_gravity = ObservationTermCfg(
        func=mdp.projected_gravity, noise=UniformNoiseCfg(n_min=-0.05, n_max=0.05), history_length=5
    )
    """Direction of gravity in the root's frame; 3 x 5 frames."""

    velocity_command = ObservationTermCfg(
        func=mdp.generated_commands, params={"command_name": "base_velocity"}, history_length=5
    )
    """Commanded vx, vy [m/s] and yaw rate [rad/s] in the base frame; 3 x 5 frames."""

    last_action = ObservationTermCfg(func=mdp.last_action, history_length=5)
    """Raw actions of the last step; 30 x 5 frames."""

    gait_phase: ObservationTermCfg | None = ObservationTermCfg(
        func=mdp.gait_phase, params={"action_name": "gait_cycle"}
    )
    """Sine and cosine of each leg's phase, 4 values. None hides the phase, as in the reference."""


@configclass
class PolicyCfg(SensedTermsCfg):
    """What the deployed policy sees: the sensed terms with noise. 779 values."""

    def __post_init__(self) -> None:
        """Turn noise on."""
        self.enable_corruption = True


@configclass
class ScanTermsCfg(ObservationGroupCfg):
    """What a height scanner sees. 459 values.

    The last base class of a group contributes its terms first: `class ScanPolicyCfg(PolicyCfg, ScanTermsCfg)` puts
    the scan before all other terms.
    """

    height_scan = ObservationTermCfg(func=mdp.height_scan, params={"sensor_cfg": SceneEntityCfg("height_scanner")})
    """1 - min(d, 1.85 m) / 1.85 m for rays straight down, misses 0; 27 (x, fastest) x 17 (y)."""


@configclass
class PrivilegedTermsCfg(ObservationGroupCfg):
    """What only the simulator knows: true velocity, randomised physics, height and contacts. 70 values."""

    base_lin_vel = ObservationTermCfg(func=mdp.base_lin_vel)
    """Linear velocity of the root in its own frame [m/s]; 3."""

    joint_stiffness = ObservationTermCfg(func=mdp.JointStiffness)
    """(value - default) / (0.2 default); 29."""

    joint_damping = ObservationTermCfg(func=mdp.JointDamping)
    """(value - default) / (0.2 default); 29."""

    torso_mass = ObservationTermCfg(func=mdp.BodyMass, params={"asset_cfg": RobotPartCfg(part="torso")})
    """(value - default) / (0.2 default); 1."""

    torso_com = ObservationTermCfg(func=mdp.BodyComOffset, params={"asset_cfg": RobotPartCfg(part="torso")})
    """Displacement of the torso's centre of mass from its default, torso frame [m]; 3."""

    foot_friction = ObservationTermCfg(func=mdp.FrictionCoefficient, params={"asset_cfg": RobotPartCfg(part="feet")})
    """Friction coefficient of each foot, left, right; 2."""

    base_height = ObservationTermCfg(
        func=mdp.base_height,
        params={"asset_cfg": RobotPartCfg(part="feet"), "sole_offset": MISSING},
    )
    """Height of the root above the lower sole [m]; 1."""

    foot_contact = ObservationTermCfg(
        func=mdp.foot_contact,
        params={"sensor_cfg": RobotPartCfg(name="contact_forces", part="feet"), "threshold": 1.0},
    )
    """Whether each foot presses on the ground with more than 1 N, left, right; 2."""


@configclass
class PrivilegedCfg(SensedTermsCfg, PrivilegedTermsCfg):
    """Everything, without noise: the privileged terms, then the sensed ones, of this moment alone. 171 values.

    Frames of before say what the true velocity and the contacts say already, and are most of what an update reads.
    `history_length=None` gives every term its own number of frames, 849 values.
    """

    def __post_init__(self) -> None:
        """Leave out the frames of before."""
        self.history_length = 0


@configclass
class TrackedTermsCfg(ObservationGroupCfg):
    """What rewards for following the command are made of, which no state of the robot tells. 3 values."""

    velocity_error: ObservationTermCfg | None = ObservationTermCfg(
        func=mdp.velocity_error, params={"command_name": "base_velocity"}
    )
    """Average error of vx, vy [m/s] and yaw rate [rad/s]; 3."""


@configclass
class CriticCfg(PrivilegedCfg, TrackedTermsCfg):
    """The average error, then what the teacher sees. 174 values.

    Without it, a value is a guess at what was a second ago, and with averages over a second hardly anything is learned.
    The teacher does not see it: a student could not know it.
    """


@configclass
class ObservationsCfg:
    """Observation groups: the deployed policy's, the critic's and the teacher's."""

    policy: PolicyCfg = PolicyCfg()
    critic: CriticCfg = CriticCfg()
    teacher: PrivilegedCfg = PrivilegedCfg()
