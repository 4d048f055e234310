"""The page: what a user sees and what a browser may ask for.

A browser sends numbers, which are brought into their ranges, and names, which are looked up in the lists it was given.
Its requests come in threads of the server; all that touches the world is handed to the loop.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import viser
from viser._messages import HotkeyKey

from rlmpc.contract.live import LiveWorld, Played
from rlmpc.errors import UserError
from rlmpc.play.live.loop import Loop
from rlmpc.play.live.plots import Plots
from rlmpc.play.live.scene import Scene
from rlmpc.play.live.steering import Steering, within
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


@dataclass(frozen=True)
class Seat:
    """What a policy of the world may be exchanged for."""

    first: Path
    """The policy that acts first."""
    choices: Callable[[], Mapping[str, Path]]
    """Gives the checkpoints to choose from, by the name that is shown."""


class Page:
    """Controls, pictures and plots of one world.

    Args:
        server: the page's.
        world: the robots.
        ranges: of the command's numbers.
        start: the kind of ground, the level and the command to start with.
        seats: of the world's policies.
        load: reads a checkpoint.
    """

    def __init__(
        self,
        server: viser.ViserServer,
        world: LiveWorld,
        ranges: Sequence[tuple[float, float]],
        start: tuple[str, int, tuple[float, float, float]],
        seats: Sequence[Seat],
        load: Callable[[Path], Played],
    ) -> None:
        self.server, self.world, self.num_steps = server, world, 0
        self.loop = Loop(world, self._on_step, self.show)
        self._seats, self._load, self._loading = seats, load, threading.Lock()
        self._next = {"frame": 0.0, "plot": 0.0, "list": 0.0}
        self._command = start[2]
        world.set_command(self._command)
        ground = world.place(*start[:2])
        self._snapshot = world.snapshot()
        server.gui.configure_theme(show_share_button=False, control_width="large")
        self.scene = Scene(server, robot_named(world.contract.robot).description, len(seats))
        self.scene.show_ground(ground)
        self.scene.show_robots(self._snapshot)
        self.status = server.gui.add_markdown("")
        self.message = server.gui.add_text("last", "", disabled=True)
        asks: dict[str, Callable[[], None]] = {
            "pause": lambda: self.loop.pause(not self.loop.is_paused),
            "step": self.loop.step_once,
            "reset": self._reset,
            "push": self._push,
        }
        on_loop = {name: lambda ask=ask: self.loop.ask(ask) for name, ask in asks.items()}
        self.steering = Steering(server, ranges, self._command, self._steer, on_loop, self.say)
        with server.gui.add_folder("time and push"):
            self._add_time(on_loop)
        with server.gui.add_folder("policy, robots and ground"):
            self._add_choices(start[0], start[1])
        self.plots = Plots(server, world.contract, self._snapshot, is_compared=len(seats) > 1)

    def show(self) -> None:
        """Draw what is due."""
        if self._is_due("frame", FRAME_S):
            self.scene.show(self._snapshot)
        if self._is_due("plot", PLOT_S):
            self.plots.show(self._snapshot)
            pace = "paused" if self.loop.is_paused else f"real-time factor **{self.loop.real_time_factor:.2f}**"
            self.status.content = f"{pace}, step {self.num_steps}"
        if self._is_due("list", LIST_S):
            for seat, menu in zip(self._seats, self.checkpoints, strict=True):
                if (names := tuple(seat.choices())) != tuple(menu.options):
                    menu.options = names

    def say(self, sentence: str) -> None:
        """Show a sentence to the user."""
        self.message.value = sentence

    def _add_time(self, asks: Mapping[str, Callable[[], None]]) -> None:
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
        buttons: tuple[tuple[viser.GuiButtonHandle, HotkeyKey, str], ...] = (
            (self.pause, "space", "pause"),
            (self.step, "N", "step"),
            (self.reset, "R", "reset"),
            (self.push, "P", "push"),
        )
        for button, key, name in buttons:
            button.on_click(lambda _, ask=asks[name]: ask())
            gui.add_command(button.label, hotkey=key).on_trigger(lambda _, ask=asks[name]: ask())

    def _add_choices(self, terrain: str, level: int) -> None:
        gui = self.server.gui
        self.checkpoints = [
            gui.add_dropdown(label, tuple(seat.choices()), initial_value=seat.first.name)
            for label, seat in zip(("checkpoint", "beside"), self._seats, strict=False)
        ]
        for turn, menu in enumerate(self.checkpoints):
            menu.on_update(lambda _, turn=turn: self._swap(turn))
        if len(self._seats) > 1:
            first, second = (f"{seat.first.parent.name}/{seat.first.name}" for seat in self._seats)
            gui.add_markdown(f"blue at the start: {first}; orange: {second}")
        least, most = len(self._seats), self.world.max_robots
        can_change = most > self.world.num_robots
        self.robots = gui.add_slider(
            "robots", least, max(most, least + 1), 1, self.world.num_robots, disabled=not can_change
        )
        self.terrain = gui.add_dropdown("ground", self.world.terrains, initial_value=terrain)
        last = max(self.world.num_levels - 1, 1)
        self.level = gui.add_slider("level", 0, last, 1, level, disabled=self.world.num_levels == 1)
        if can_change:
            self.robots.on_update(lambda _: self._let_walk())
        self.terrain.on_update(lambda _: self._place())
        self.level.on_update(lambda _: self._place())

    def _steer(self, command: tuple[float, float, float]) -> None:
        def request() -> None:
            self._command = command
            self.world.set_command(command)

        self.loop.ask(request)

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

    def _let_walk(self) -> None:
        num_robots = round(within(self.robots.value, len(self._seats), self.world.max_robots))

        def request() -> None:
            self.world.let_walk(num_robots)
            self._snapshot = self.world.snapshot()
            self.scene.show_robots(self._snapshot)
            self.say(f"robots: {num_robots}")

        self.loop.ask(request)

    def _place(self) -> None:
        terrain, level = self.terrain.value, round(within(self.level.value, 0, self.world.num_levels - 1))
        if terrain not in self.world.terrains:
            return

        def request() -> None:
            self.scene.show_ground(self.world.place(terrain, level))
            self._snapshot = self.world.snapshot()
            self.say(f"{terrain} at level {level}")

        self.loop.ask(request)

    def _swap(self, turn: int) -> None:
        """Read the checkpoint that was chosen for a seat while the robots go on, then let it act."""
        path = self._seats[turn].choices().get(self.checkpoints[turn].value)
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
                self.world.let_act(played, turn)
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
