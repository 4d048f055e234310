"""Where the operator's wishes come from: a fixed command, or the keyboard; `rlmpc.deploy.gamepad` has the gamepad."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np

from rlmpc.errors import UserError

AXES = ("lin_vel_x", "lin_vel_y", "ang_vel_z")
STEP = 0.1
"""What a key adds to the command [m/s, rad/s]."""
KEYS = {"w": (0, STEP), "s": (0, -STEP), "a": (1, STEP), "d": (1, -STEP), "q": (2, STEP), "e": (2, -STEP)}
"""Key -> axis and what it adds."""
BY_OPERATOR = "stopped by the operator"
HELP = "Enter: stand up, then walk; w s forward and back, a d left and right, q e turn, 0 no velocity; space: damping"


@dataclass(frozen=True)
class Request:
    """What the operator wants at one moment."""

    command: tuple[float, float, float]
    """vx, vy [m/s] and yaw rate [rad/s]."""
    go_on: bool = False
    """Whether to begin the next mode as soon as this one is over."""
    stop: str | None = None
    """Why to let go of the robot; None holds on to it."""


class Commands(Protocol):
    """A source of requests."""

    def poll(self) -> Request:
        """Return what is wanted now, without waiting."""
        ...


def allowed(ranges: Mapping[str, tuple[float, float]] | None) -> list[tuple[float, float]]:
    """Return the lower and upper end of every axis: what training had reached, and no velocity.

    Raises:
        UserError: if the policy follows no velocity.
    """
    if ranges is None or not {*AXES} <= ranges.keys():
        raise UserError("the policy does not say which velocities it was trained to follow, so none can be commanded")
    return [(min(ranges[axis][0], 0.0), max(ranges[axis][1], 0.0)) for axis in AXES]


class Fixed:
    """One command from beginning to end; every mode begins as soon as it may.

    Args:
        command: vx, vy [m/s] and yaw rate [rad/s].
        ranges: see `allowed`.

    Raises:
        UserError: if the command is not within the ranges.
    """

    def __init__(self, command: list[float], ranges: list[tuple[float, float]]) -> None:
        if len(command) != len(AXES):
            raise UserError(f"'command' takes vx, vy and yaw rate, not {len(command)} numbers")
        for axis, value, (low, high) in zip(AXES, command, ranges, strict=True):
            if not low <= value <= high:
                raise UserError(f"'command' asks for {axis} = {value:g}; training had reached {low:g} to {high:g}")
        self._request = Request((command[0], command[1], command[2]), go_on=True)

    def poll(self) -> Request:
        """Return the command."""
        return self._request


class Keyboard:
    """Keys typed into the terminal, see `HELP`. It is a context, which gives the terminal back at its end.

    Args:
        ranges: see `allowed`; the command stays within them.
        terminal: descriptor of the terminal; None takes the one of this command.

    Raises:
        UserError: if there is no terminal.
    """

    def __init__(self, ranges: list[tuple[float, float]], terminal: int | None = None) -> None:
        self._terminal = sys.stdin.fileno() if terminal is None else terminal
        if not os.isatty(self._terminal):
            raise UserError(
                "the keyboard needs a terminal; gamepad=/dev/input/js0 does without, and in MuJoCo "
                "command=[vx,vy,yaw rate]"
            )
        self._low, self._high = np.array(ranges).T
        self._command = np.zeros(len(AXES))

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(self._terminal)
        tty.setcbreak(self._terminal)
        return self

    def __exit__(self, *_: Any) -> None:
        termios.tcsetattr(self._terminal, termios.TCSADRAIN, self._before)

    def poll(self) -> Request:
        """Return what the keys since the last call make of the command. A terminal that is gone stops."""
        typed = ""
        while select.select([self._terminal], [], [], 0.0)[0]:
            try:
                data = os.read(self._terminal, 64)
            except OSError:
                data = b""
            if not data:
                return Request((0.0, 0.0, 0.0), stop="the terminal is gone")
            typed += data.decode(errors="replace")
        for key in typed:
            if key == "0":
                self._command[:] = 0.0
            elif key in KEYS:
                axis, step = KEYS[key]
                self._command[axis] += step
        self._command = np.clip(self._command, self._low, self._high)
        vx, vy, yaw_rate = self._command.tolist()
        return Request((vx, vy, yaw_rate), go_on="\n" in typed, stop=BY_OPERATOR if " " in typed else None)
