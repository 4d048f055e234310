"""Terms about parts of a robot, such as arms and feet, independent of the robot."""

from typing import Any

from isaaclab.managers import SceneEntityCfg
from isaaclab.utils import configclass

from rlmpc.robots.robot import Robot
from rlmpc.tasks.terms import terms


@configclass
class RobotPartCfg(SceneEntityCfg):
    """A part of the configuration's robot, as a parameter of a term.

    `use_parts` fills in the names of its joints or bodies; if `name` is a sensor, the bodies are the sensor's.
    """

    name: str = "robot"

    part: str = ""
    """A key of `Robot.joints` or `Robot.bodies`."""

    preserve_order: bool = True
    """Feet are left, then right, whatever their order in the simulation."""


def use_parts(cfg: Any, robot: Robot) -> None:
    """Point all terms at the parts of a robot, and switch off those about parts that it does not have.

    Parameters `sole_offset` and `sole` are set to the robot's.

    Args:
        cfg: Configuration of an environment; changed in place.
        robot: Its robot.

    Raises:
        ValueError: If a term names a part that no robot has, or the robot names a joint or body that it does not have.
    """
    for _, section, name, term in terms(cfg):
        parts = [value for value in term.params.values() if isinstance(value, RobotPartCfg)]
        if any(robot.lacks(entity.part) for entity in parts):
            setattr(section, name, None)
            continue
        for entity in parts:
            entity.joint_names = robot.joints.get(entity.part)
            entity.body_names = robot.bodies.get(entity.part)
        if "sole_offset" in term.params:
            term.params["sole_offset"] = robot.sole_offset_m
        if "sole" in term.params:
            term.params["sole"] = robot.sole


def check_exchange(old: Robot, new: Robot) -> None:
    """Refuse to exchange a configuration's robot for one with more parts, whose terms are already switched off.

    Raises:
        ValueError: If it has more, with the parts.
    """
    if more := [part for part in (*new.joints, *new.bodies) if old.lacks(part) and not new.lacks(part)]:
        raise ValueError(
            f"the robot {new.name} has {', '.join(more)}, which {old.name}, the robot of this task, lacks; "
            "choose it in a task's class instead"
        )
