"""Drive a robot by an exported policy: `python -m rlmpc.deploy DIR`; DIR is what `play.py export=true` wrote.

`python -m rlmpc.deploy DIR robot=mujoco command=[0.4,0,0] seconds=60` walks in MuJoCo, in real time;
`python -m rlmpc.deploy DIR robot=g1 network=eth0` drives a Unitree G1 from the keyboard, and
`python -m rlmpc.deploy DIR robot=g1 network=eth0 gamepad=/dev/input/js0` by a gamepad.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rlmpc.command_line.arguments import EXAMPLE, read_arguments
from rlmpc.config.deploy import DeployCfg
from rlmpc.config.setting import check_settings
from rlmpc.errors import RunError, UserError

USER_ERROR = 2


def compose(arguments: Sequence[str]) -> DeployCfg:
    """Return the config that arguments make; the first one may be the folder alone.

    Raises:
        UserError: if one does not fit, or settings do not fit each other.
    """
    given = list(arguments)
    if given and "=" not in given[0] and not given[0].startswith("-"):
        given[0] = f"policy={given[0]}"
    if bare := next((argument for argument in given if "=" not in argument and not argument.startswith("-")), None):
        raise UserError(f"'{bare}' is not an override; {EXAMPLE}")
    cfg = DeployCfg()
    read_arguments(given, [cfg], "policy")
    check_settings(cfg)
    if cfg.policy is None:
        raise UserError("give the folder of an exported policy, for example: python -m rlmpc.deploy DIR")
    if cfg.robot == "g1":
        if cfg.network is None:
            raise UserError("robot=g1 needs network=NAME, the interface that leads to the robot")
        if cfg.command is not None:
            raise UserError("'command' is for MuJoCo; with robot=g1 somebody stands at the keyboard or has a gamepad")
    elif cfg.network is not None:
        raise UserError("'network' has no effect with robot=mujoco")
    return cfg


def deploy(cfg: DeployCfg) -> None:
    """Drive the robot until it is damped for good, and print how it ended and how well time was kept.

    Raises:
        UserError: if the policy, the command or the robot does not fit.
        RunError: if the loop had to let go of the robot.
    """
    # Imported here so that bad arguments are reported at once.
    from rlmpc.deploy.commands import HELP, Commands, Fixed, Keyboard, allowed
    from rlmpc.deploy.driver import Driver
    from rlmpc.deploy.gamepad import BUTTONS, Gamepad
    from rlmpc.deploy.loop import ENDS, Loop, RealClock
    from rlmpc.deploy.robot import Robot
    from rlmpc.deploy.stops import Stops
    from rlmpc.export.deployment import load_deployment

    deployment = load_deployment(Path(str(cfg.policy)))
    driver, contract, clock = Driver(deployment), deployment.contract, RealClock()
    stops, ranges = Stops(contract, cfg), allowed(deployment.command_ranges)
    robot: Robot
    with ExitStack() as stack:
        commands: Commands
        if cfg.command is not None:
            commands = Fixed(cfg.command, ranges)
        elif cfg.gamepad is not None:
            commands = stack.enter_context(Gamepad(ranges, Path(cfg.gamepad)))
            print(BUTTONS)
        else:
            commands = stack.enter_context(Keyboard(ranges))
            print(HELP)
        if cfg.robot == "mujoco":
            from rlmpc.deploy.mujoco_robot import MujocoRobot

            robot = MujocoRobot(contract, clock, cfg.seed)
        else:
            from rlmpc.deploy.g1 import G1Robot
            from rlmpc.deploy.unitree import UnitreeTransport

            robot = G1Robot(contract, UnitreeTransport(str(cfg.network)))
        loop = Loop(driver, robot, commands, stops, cfg, contract.control_dt, clock, print)
        reason = loop.run()
    print(*loop.timing.lines(), sep="\n")
    if reason not in ENDS:
        raise RunError(f"the robot was damped: {reason}")


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    try:
        if {"help", "-h", "--help"} & {*arguments}:
            from rlmpc.command_line.usage import settings_lines

            print((__doc__ or "").strip(), "", "Keys, with their defaults:", *settings_lines(DeployCfg()), sep="\n")
            return 0
        # A terminal that goes away or a kill damps the robot as Ctrl-C does.
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler)
        deploy(compose(arguments))
    except (UserError, RunError) as error:
        print(f"rlmpc.deploy: {error}", file=sys.stderr)
        return USER_ERROR if isinstance(error, UserError) else 1
    except KeyboardInterrupt:
        print("rlmpc.deploy: stopped by Ctrl-C", file=sys.stderr)
        return 128 + signal.SIGINT
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
