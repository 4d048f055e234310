"""The G1 as an Isaac Lab articulation: spawner, drives, initial state and the joint groups that tasks speak of."""

from collections.abc import Callable

from isaaclab.actuators import ImplicitActuatorCfg
from isaaclab.assets import ArticulationCfg
from isaaclab.sim import SpawnerCfg
from isaaclab.sim.utils import clone, create_prim, get_current_stage
from isaaclab.utils import configclass
from pxr import Usd

from rlmpc.robots.g1.description import load_description
from rlmpc.robots.g1.usd import author_robot

ARM_JOINTS = [".*_shoulder_.*_joint", ".*_elbow_joint", ".*_wrist_.*_joint"]
WAIST_JOINTS = ["waist_.*_joint"]
HIP_ROLL_YAW_JOINTS = [".*_hip_roll_joint", ".*_hip_yaw_joint"]
ANKLE_PITCH_JOINTS = [".*_ankle_pitch_joint"]
ANKLE_JOINTS = [".*_ankle_pitch_joint", ".*_ankle_roll_joint"]
FOOT_BODIES = ".*_ankle_roll_link"
"""The bodies that carry the feet's collision boxes; left, then right."""
ANKLE_BODIES = ".*_ankle_.*_link"
TORSO_BODY = "torso_link"
ROOT_BODY = "pelvis"

_DESCRIPTION = load_description()

ACTION_SCALE: dict[str, float] = dict(_DESCRIPTION.action_scale)
"""[rad] joint target offset of one unit of action, by joint name."""


@clone
def spawn_g1(
    prim_path: str,
    cfg: "G1SpawnerCfg",
    translation: tuple[float, float, float] | None = None,
    orientation: tuple[float, float, float, float] | None = None,
    **kwargs: object,
) -> Usd.Prim:
    """Author the robot on the current stage; Isaac Lab calls this once and copies the prims to the other envs.

    Args:
        prim_path: Path of the robot's root prim; as the ``clone`` decorator allows, its parents may be an expression.
        cfg: How to spawn.
        translation: [m] position of the root prim in its parent.
        orientation: Orientation ``(x, y, z, w)`` of the root prim in its parent.
        kwargs: Accepted for Isaac Lab's spawner signature and unused.

    Returns:
        The root prim of the (first) robot.
    """
    create_prim(prim_path, "Xform", translation=translation, orientation=orientation)
    return author_robot(get_current_stage(), prim_path, _DESCRIPTION, self_collision=cfg.self_collision)


@configclass
class G1SpawnerCfg(SpawnerCfg):
    """Spawns the G1 from its description, without an asset file."""

    func: Callable[..., Usd.Prim] = spawn_g1

    self_collision: bool = False
    """Whether the robot's own links collide with each other; on costs up to 5 % of the step time."""

    activate_contact_sensors: bool = True
    """Whether contact sensors may be attached to the bodies; applied by the ``clone`` decorator."""


G1_CFG = ArticulationCfg(
    spawn=G1SpawnerCfg(),
    init_state=ArticulationCfg.InitialStateCfg(
        pos=(0.0, 0.0, _DESCRIPTION.default_root_height),
        joint_pos=dict(_DESCRIPTION.default_joint_pos),
    ),
    soft_joint_pos_limit_factor=0.9,
    actuators={
        actuator.name: ImplicitActuatorCfg(
            joint_names_expr=list(actuator.joints),
            stiffness=actuator.stiffness,
            damping=actuator.damping,
            armature=actuator.armature,
            joint_effort_limit=actuator.effort_limit,
            joint_velocity_limit=actuator.velocity_limit,
        )
        for actuator in _DESCRIPTION.actuators
    },
)
"""The G1 with implicit position drives, standing in its default pose. Set ``prim_path`` before use.

MuJoCo enforces the effort limits but not the velocity limits; the latter serve rewards and observations.
"""
