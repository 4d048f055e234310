"""A robot as an Isaac Lab articulation: spawner, drives and initial state."""

from collections.abc import Callable

from isaaclab.actuators import ImplicitActuatorCfg
from isaaclab.assets import ArticulationCfg
from isaaclab.sim import SpawnerCfg
from isaaclab.sim.utils import clone, create_prim, get_current_stage
from isaaclab.utils import configclass
from pxr import Usd

from rlmpc.robots.robot import Robot
from rlmpc.robots.table import robot_named
from rlmpc.robots.usd import author_robot


@clone
def spawn_described_robot(
    prim_path: str,
    cfg: "DescribedRobotCfg",
    translation: tuple[float, float, float] | None = None,
    orientation: tuple[float, float, float, float] | None = None,
    **kwargs: object,
) -> Usd.Prim:
    """Write the robot to the current stage; Isaac Lab calls this once and copies the prims to the other environments.

    The arguments are those of Isaac Lab's spawners: translation [m] and orientation `(x, y, z, w)` of the root prim in
    its parent; `kwargs` have no effect. The `clone` decorator allows `prim_path` to be an expression.
    """
    create_prim(prim_path, "Xform", translation=translation, orientation=orientation)
    description = robot_named(cfg.robot).description
    return author_robot(get_current_stage(), prim_path, description, self_collision=cfg.self_collision)


@configclass
class DescribedRobotCfg(SpawnerCfg):
    """Spawns a robot from its description, without an asset file."""

    func: Callable[..., Usd.Prim] = spawn_described_robot

    robot: str = ""
    """Name of the robot in `rlmpc.robots.table`."""

    self_collision: bool = False
    """Whether the robot's own links collide with each other; costs up to 5 % of the step time."""

    activate_contact_sensors: bool = True
    """Whether contact sensors may be attached to the bodies; applied by the `clone` decorator."""


def articulation_cfg(robot: Robot) -> ArticulationCfg:
    """Return the robot with implicit position drives, standing in its default pose in every environment.

    MuJoCo enforces the effort limits but not the velocity limits; the latter serve rewards and observations.
    """
    description = robot.description
    return ArticulationCfg(
        prim_path="{ENV_REGEX_NS}/Robot",
        spawn=DescribedRobotCfg(robot=robot.name),
        init_state=ArticulationCfg.InitialStateCfg(
            pos=(0.0, 0.0, description.default_root_height),
            joint_pos=dict(description.default_joint_pos),
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
            for actuator in description.actuators
        },
    )
