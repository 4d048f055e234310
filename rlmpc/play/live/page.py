"""The page: what a user sees and what a browser may ask for.

A browser sends numbers, which are brought into their ranges, and names, which are looked up in the lists it was given.
Its requests come in threads of the server; all that touches the world is handed to the loop.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import viser
from viser._messages import HotkeyKey

from rlmpc.contract.live import LiveWorld, Played
from rlmpc.errors import UserError
from rlmpc.play.live.loop import Loop
from rlmpc.play.live.plots import Plots
from rlmpc.play.live.scene import Scene
from rlmpc.robots.table import robot_named

FRAME_S, PLOT_S, LIST_S = 0.04, 0.2, 5.0
"""Seconds between two pictures, two plots, and two looks for new checkpoints."""

PUSHES = {
    "from behind": (1.0, 0.0),
    "from the front": (-1.0, 0.0),
    "to the left": (0.0, 1.0),
    "to the right": (0.0, -1.0),
}
"""Directions in the frame of the heading."""
MAX_PUSH = 3.0
"""Largest sudden change of velocity [m/s]."""

SPEEDS = ("0.1", "0.25", "0.5", "1", "2", "4")

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

AXES = ("forward", "left", "turn")


class Page:
    """Controls, pictures and plots of one world.

    Args:
        server: the page's.
        world: the robots.
        ranges: of the command's numbers.
        start: the kind of ground, the level and the command to start with.
        played: the policy that acts.
        choices: gives the checkpoints to choose from, by the name that is shown.
        load: reads one of them.
    """

    def __init__(
        self,
        server: viser.ViserServer,
        world: LiveWorld,
        ranges: Sequence[tuple[float, float]],
        start: tuple[str, int, tuple[float, float, float]],
        played: Played,
        choices: Callable[[], Mapping[str, Path]],
        load: Callable[[Path], Played],
    ) -> None:
        self.server, self.world, self.num_steps = server, world, 0
        self.loop = Loop(world, self._on_step, self.show)
        self._choices, self._load, self._loading = choices, load, threading.Lock()
        self._next = {"frame": 0.0, "plot": 0.0, "list": 0.0}
        self._command = start[2]
        world.set_command(self._command)
        ground = world.place(*start[:2])
        self._snapshot = world.snapshot()
        server.gui.configure_theme(show_share_button=False, control_width="large")
        self.scene = Scene(server, robot_named(world.contract.robot).description, self._snapshot)
        self.scene.show_ground(ground)
        self.status = server.gui.add_markdown("")
        self.message = server.gui.add_text("last", "", disabled=True)
        with server.gui.add_folder("command"):
            self._add_command(ranges)
        with server.gui.add_folder("time"):
            self._add_time()
        with server.gui.add_folder("policy and ground"):
            self._add_choices(start[0], start[1], played)
        with server.gui.add_folder("first robot"):
            self.plots = Plots(server, world.contract)

    def show(self) -> None:
        """Draw what is due."""
        if self._is_due("frame", FRAME_S):
            self.scene.show(self._snapshot)
        if self._is_due("plot", PLOT_S):
            self.plots.show(self._snapshot)
            pace = "paused" if self.loop.is_paused else f"real-time factor **{self.loop.real_time_factor:.2f}**"
            self.status.content = f"{pace}, step {self.num_steps}"
        if self._is_due("list", LIST_S) and (names := tuple(self._choices())) != tuple(self.checkpoints.options):
            self.checkpoints.options = names

    def say(self, sentence: str) -> None:
        """Show a sentence to the user."""
        self.message.value = sentence

    def _add_command(self, ranges: Sequence[tuple[float, float]]) -> None:
        gui = self.server.gui
        self.sliders = [
            gui.add_slider(axis, low, high, (high - low) / 100.0, min(max(value, low), high))
            for axis, (low, high), value in zip(AXES, ranges, self._command, strict=True)
        ]
        for slider in self.sliders:
            slider.on_update(lambda _: self._read_command())
        self.halt = gui.add_button("stand still (X)")
        self.halt.on_click(lambda _: self._stand_still())
        gui.add_command("stand still", hotkey="X").on_trigger(lambda _: self._stand_still())
        for key, axis, direction in KEYS:
            name = f"{AXES[axis]} {'+' if direction > 0 else '-'}"
            gui.add_command(name, hotkey=key).on_trigger(lambda _, a=axis, d=direction: self._nudge(a, d))
        gui.add_markdown("keys: I K forward, J L sideways, U O turn, X stand, P push, R reset, Space pause, N step")

    def _add_time(self) -> None:
        gui = self.server.gui
        self.pause = gui.add_button("pause or go on (Space)")
        self.step = gui.add_button("one step (N)")
        self.reset = gui.add_button("reset (R)")
        self.speed = gui.add_dropdown("speed", SPEEDS, initial_value="1")
        self.push_speed = gui.add_slider("push [m/s]", 0.0, MAX_PUSH, 0.1, 1.0)
        self.push_from = gui.add_dropdown("push it", tuple(PUSHES))
        self.push = gui.add_button("push (P)")
        follow = gui.add_checkbox("follow the robot", True)
        follow.on_update(lambda _: setattr(self.scene, "follows", bool(follow.value)))
        self.speed.on_update(lambda _: self._set_speed())
        asked: tuple[tuple[viser.GuiButtonHandle, HotkeyKey, Callable[[], None]], ...] = (
            (self.pause, "space", lambda: self.loop.pause(not self.loop.is_paused)),
            (self.step, "N", self.loop.step_once),
            (self.reset, "R", self._reset),
            (self.push, "P", self._push),
        )
        for button, key, ask in asked:
            button.on_click(lambda _, ask=ask: self.loop.ask(ask))
            gui.add_command(button.label, hotkey=key).on_trigger(lambda _, ask=ask: self.loop.ask(ask))

    def _add_choices(self, terrain: str, level: int, played: Played) -> None:
        gui = self.server.gui
        self.checkpoints = gui.add_dropdown("checkpoint", tuple(self._choices()), initial_value=played.path.name)
        self.checkpoints.on_update(lambda _: self._swap())
        self.terrain = gui.add_dropdown("ground", self.world.terrains, initial_value=terrain)
        last = max(self.world.num_levels - 1, 1)
        self.level = gui.add_slider("level", 0, last, 1, level, disabled=self.world.num_levels == 1)
        self.terrain.on_update(lambda _: self._place())
        self.level.on_update(lambda _: self._place())

    def _read_command(self) -> None:
        """Hand the sliders' command to the world."""
        forward, left, turn = (within(slider.value, slider.min, slider.max) for slider in self.sliders)

        def request() -> None:
            self._command = (forward, left, turn)
            self.world.set_command(self._command)

        self.loop.ask(request)

    def _stand_still(self) -> None:
        for slider in self.sliders:
            slider.value = within(0.0, slider.min, slider.max)
        self._read_command()

    def _nudge(self, axis: int, direction: int) -> None:
        slider = self.sliders[axis]
        slider.value = within(
            slider.value + direction * (slider.max - slider.min) / NUM_KEY_STEPS, slider.min, slider.max
        )
        self._read_command()

    def _set_speed(self) -> None:
        if self.speed.value in SPEEDS:
            speed = float(self.speed.value)
            self.loop.ask(lambda: setattr(self.loop, "speed", speed))

    def _reset(self) -> None:
        self.world.reset()
        self._snapshot = self.world.snapshot()
        self.say("reset")

    def _push(self) -> None:
        if (direction := PUSHES.get(self.push_from.value)) is not None:
            speed = within(self.push_speed.value, 0.0, MAX_PUSH)
            self.world.push((speed * direction[0], speed * direction[1]))
            self.say(f"pushed {self.push_from.value} by {speed:.1f} m/s")

    def _place(self) -> None:
        terrain, level = self.terrain.value, round(within(self.level.value, 0, self.world.num_levels - 1))
        if terrain not in self.world.terrains:
            return

        def request() -> None:
            self.scene.show_ground(self.world.place(terrain, level))
            self._snapshot = self.world.snapshot()
            self.say(f"{terrain} at level {level}")

        self.loop.ask(request)

    def _swap(self) -> None:
        """Read the chosen checkpoint while the robot goes on, then let it act."""
        path = self._choices().get(self.checkpoints.value)
        if path is None:
            self.say("there is no such checkpoint")
            return
        with self._loading:
            try:
                played = self._load(path)
            except UserError as error:
                self.say(str(error))
                return

        def request() -> None:
            try:
                self.world.let_act(played)
                self.say(f"{path.name} acts")
            except UserError as error:
                self.say(str(error))

        self.loop.ask(request)

    def _on_step(self, reason: str | None) -> None:
        self.num_steps += 1
        self._snapshot = self.world.snapshot()
        self.plots.add(self._command, self._snapshot)
        if reason is not None:
            self.say(f"starts anew: {reason}")

    def _is_due(self, what: str, every_s: float) -> bool:
        now = time.perf_counter()
        if now < self._next[what]:
            return False
        self._next[what] = now + every_s
        return True


def within(value: float, low: float, high: float) -> float:
    """Return a number in a range: the nearest one; for what is no number, the one nearest to 0."""
    return min(max(value if math.isfinite(value) else 0.0, low), high)
