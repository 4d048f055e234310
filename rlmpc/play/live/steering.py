"""The command on the page: sliders, keys, and a gamepad."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import viser
from viser._messages import HotkeyKey

from rlmpc.contract.sticks import share_of
from rlmpc.play.live import gamepad

AXES = ("forward", "left", "turn")

KEYS: tuple[tuple[HotkeyKey, int, int], ...] = (
    ("I", 0, 1),
    ("K", 0, -1),
    ("J", 1, 1),
    ("L", 1, -1),
    ("U", 2, 1),
    ("O", 2, -1),
)
"""Keys that change the command: key, number of the command, direction."""
NUM_KEY_STEPS = 10
"""Presses of a key from one end of a range to the other."""


class Steering:
    """Controls for the command; callbacks come in threads of the server.

    Args:
        server: the page's.
        ranges: of the command's numbers.
        start: the command to start with.
        send: takes every new command.
        asks: what a gamepad's buttons ask for, by the names in `rlmpc.play.live.gamepad`.
        say: shows a sentence to the user.
    """

    def __init__(
        self,
        server: viser.ViserServer,
        ranges: Sequence[tuple[float, float]],
        start: Sequence[float],
        send: Callable[[tuple[float, float, float]], None],
        asks: Mapping[str, Callable[[], None]],
        say: Callable[[str], None],
    ) -> None:
        self._send, self._asks, self._say = send, asks, say
        self._held: frozenset[str] = frozenset()
        gui = server.gui
        with gui.add_folder("command"):
            self.sliders = [
                gui.add_slider(axis, low, high, (high - low) / 100.0, min(max(value, low), high))
                for axis, (low, high), value in zip(AXES, ranges, start, strict=True)
            ]
            self.halt = gui.add_button("stand still (X)")
            gui.add_markdown("keys: I K forward, J L sideways, U O turn, X stand, P push, R reset, Space pause, N step")
            # The script looks for the only text field of its folder.
            with gui.add_folder("gamepad"):
                gui.add_markdown("left stick moves, right one turns; A push, X reset, start pause")
                self.gamepad = gui.add_text("it says", gamepad.NONE)
                gui.add_html(gamepad.SCRIPT)
        for slider in self.sliders:
            slider.on_update(lambda _: self._read_sliders())
        self.halt.on_click(lambda _: self.stand_still())
        self.gamepad.on_update(lambda _: self._read_gamepad())
        gui.add_command("stand still", hotkey="X").on_trigger(lambda _: self.stand_still())
        for key, axis, direction in KEYS:
            name = f"{AXES[axis]} {'+' if direction > 0 else '-'}"
            gui.add_command(name, hotkey=key).on_trigger(lambda _, a=axis, d=direction: self._nudge(a, d))

    def stand_still(self) -> None:
        """Command no velocity."""
        self._set([0.0, 0.0, 0.0])

    def _read_sliders(self) -> None:
        forward, left, turn = (within(slider.value, slider.min, slider.max) for slider in self.sliders)
        self._send((forward, left, turn))

    def _set(self, command: Sequence[float]) -> None:
        for slider, value in zip(self.sliders, command, strict=True):
            slider.value = within(value, slider.min, slider.max)
        self._read_sliders()

    def _nudge(self, axis: int, direction: int) -> None:
        command = [slider.value for slider in self.sliders]
        command[axis] += direction * (self.sliders[axis].max - self.sliders[axis].min) / NUM_KEY_STEPS
        self._set(command)

    def _read_gamepad(self) -> None:
        """Let sticks move the sliders, and a button ask once, when it goes down."""
        text = self.gamepad.value
        if text == gamepad.GONE:
            self.stand_still()
            self._say("the gamepad is gone; the robot is told to stand still")
        if (pad := gamepad.read(text) if isinstance(text, str) else None) is None:
            return
        moved = zip(self.sliders, pad.sticks, strict=True)
        self._set([share_of(slider.min, slider.max, stick) for slider, stick in moved])
        for name in pad.held - self._held:
            self._asks[name]()
        self._held = pad.held


def within(value: float, low: float, high: float) -> float:
    """Return a number in a range: the nearest one; for what is no number, the one nearest to 0."""
    return min(max(value if math.isfinite(value) else 0.0, low), high)
