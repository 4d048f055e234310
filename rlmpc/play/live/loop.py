"""Steps a world in real time, and between two steps does what was asked for meanwhile."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue

from rlmpc.contract.live import LiveWorld

FACTOR_WINDOW = 50
"""Control steps over which the real-time factor is measured."""

MAX_LAG_S = 0.1
"""Largest delay that is caught up with; what is beyond is lost, so that a slow moment is not followed by a rush."""

WAIT_S = 0.02
"""How long a paused loop waits for a request before it draws again."""


class Loop:
    """The one thread in which the world is touched.

    Args:
        world: what is stepped.
        on_step: called after every control step with the reason why an episode ended in it, or None.
        on_turn: called after every turn of the loop, paused or not.
    """

    def __init__(
        self, world: LiveWorld, on_step: Callable[[str | None], None], on_turn: Callable[[], None] = lambda: None
    ) -> None:
        self.world = world
        self.is_paused = False
        self.speed = 1.0
        """Simulated seconds per second that are aimed at."""
        self._on_step, self._on_turn = on_step, on_turn
        self._requests: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._is_stopped = False
        self._steps_owed = 0
        self._due = time.perf_counter()
        self._finished: deque[float] = deque(maxlen=FACTOR_WINDOW)

    @property
    def real_time_factor(self) -> float:
        """Simulated seconds per second over the last steps; 0 while paused."""
        if len(self._finished) < 2:
            return 0.0
        took = self._finished[-1] - self._finished[0]
        return (len(self._finished) - 1) * self.world.contract.control_dt / took

    def ask(self, request: Callable[[], None]) -> None:
        """Let the loop's thread call `request` before its next step; may be called from any thread."""
        self._requests.put(request)

    def pause(self, is_paused: bool) -> None:
        """Stop before the next step, or go on."""
        self.is_paused = is_paused
        self._finished.clear()
        self._due = time.perf_counter()

    def step_once(self) -> None:
        """Pause, and take one step."""
        self.pause(True)
        self._steps_owed += 1

    def stop(self) -> None:
        """Let `run` return; may be called from any thread."""
        self.ask(self._stop)

    def run(self) -> None:
        """Step until `stop` is called."""
        while not self._is_stopped:
            self.turn()

    def turn(self) -> None:
        """Do what was asked for, and take a step when it is due."""
        is_waiting = self.is_paused and not self._steps_owed
        self._serve(WAIT_S if is_waiting else max(0.0, self._due - time.perf_counter()))
        if not self._is_stopped and (not self.is_paused or self._steps_owed) and time.perf_counter() >= self._due:
            self._step()
        self._on_turn()

    def _step(self) -> None:
        self._steps_owed = max(self._steps_owed - 1, 0)
        self._due = max(self._due + self.world.contract.control_dt / self.speed, time.perf_counter() - MAX_LAG_S)
        self._on_step(self.world.step())
        if not self.is_paused:
            self._finished.append(time.perf_counter())

    def _serve(self, wait_s: float) -> None:
        """Answer all requests; wait for the first one at most this long."""
        try:
            self._requests.get(timeout=wait_s)() if wait_s > 0.0 else self._requests.get_nowait()()
            while True:
                self._requests.get_nowait()()
        except Empty:
            return

    def _stop(self) -> None:
        self._is_stopped = True
