"""An operator with a gamepad, read as Linux gives its events: no package is needed."""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path
from typing import Any, Self

import numpy as np

from rlmpc.contract.sticks import beyond_dead_zone, share_of
from rlmpc.deploy.commands import AXES, BY_OPERATOR, Request
from rlmpc.errors import UserError

EVENT = struct.Struct("=IhBB")
"""Time [ms], value, kind and number, as `linux/joystick.h` has them."""
BUTTON, AXIS, INITIAL = 0x01, 0x02, 0x80
"""Kinds of events; the first ones after opening tell how things stand and are `INITIAL` as well."""
FULL = 32767
"""Value of an axis that is all the way to the right or back."""
STICKS = {1: 0, 0: 1, 3: 2}
"""Axis of the gamepad -> entry of the command. Back and right, the positive ends, are negative commands."""
GO_ON, STOP = 0, 1
"""Numbers of buttons, A and B of most gamepads."""
BUTTONS = "A: stand up, then walk; left stick: forward, back, left and right, right stick: turn; B: damping"
GONE = "the gamepad is gone"


class Gamepad:
    """Sticks ask for a share of the fastest velocity on their side; see `BUTTONS`. It is a context.

    Args:
        ranges: see `rlmpc.deploy.commands.allowed`.
        device: the gamepad's, for example `/dev/input/js0`.

    Raises:
        UserError: if there is none.
    """

    def __init__(self, ranges: list[tuple[float, float]], device: Path) -> None:
        self._ranges = ranges
        self._command = np.zeros(len(AXES))
        try:
            self._file = os.open(device, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise UserError(f"'{device}' cannot be opened: {error.strerror}; plug the gamepad in, or name another one "
                            "of /dev/input/js*") from error  # fmt: skip
        kind = os.fstat(self._file).st_mode
        if not stat.S_ISCHR(kind) and not stat.S_ISFIFO(kind):
            os.close(self._file)
            raise UserError(f"'{device}' is no gamepad; one is /dev/input/js0")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        os.close(self._file)

    def poll(self) -> Request:
        """Return what sticks and buttons ask for now. A gamepad that is gone stops."""
        pressed: set[int] = set()
        while True:
            try:
                data = os.read(self._file, EVENT.size)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if len(data) < EVENT.size:
                return Request((0.0, 0.0, 0.0), stop=GONE)
            _, value, kind, number = EVENT.unpack(data)
            if kind == BUTTON and value:
                pressed.add(number)
            elif kind & ~INITIAL == AXIS and number in STICKS:
                self._move(STICKS[number], -value / FULL)
        vx, vy, yaw_rate = self._command.tolist()
        return Request((vx, vy, yaw_rate), go_on=GO_ON in pressed, stop=BY_OPERATOR if STOP in pressed else None)

    def _move(self, entry: int, share: float) -> None:
        self._command[entry] = share_of(*self._ranges[entry], beyond_dead_zone(share))
