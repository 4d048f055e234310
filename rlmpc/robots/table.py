"""All robots by name: `env.robot` chooses one, and a policy's contract names its robot."""

from rlmpc.errors import UserError, nearest
from rlmpc.robots.g1.config import G1
from rlmpc.robots.robot import Robot

ROBOTS: dict[str, Robot] = {robot.name: robot for robot in (G1,)}


def robot_named(name: str) -> Robot:
    """Return a robot of the table.

    Raises:
        UserError: If there is none of this name.
    """
    if name not in ROBOTS:
        raise UserError(f"unknown robot '{name}'; known: {', '.join(ROBOTS)}{nearest(name, ROBOTS)}")
    return ROBOTS[name]
