"""The loop that drives a robot: damping, stand up, policy, damping. Whatever goes wrong ends in damping."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from rlmpc.config.deploy import DeployCfg
from rlmpc.deploy.commands import BY_OPERATOR, Commands
from rlmpc.deploy.driver import Driver
from rlmpc.deploy.robot import Clock, Drive, Mode, Robot, RobotState
from rlmpc.deploy.stops import Stops
from rlmpc.deploy.timing import Timing

DAMPED_S = 1.0
"""How long joints are damped before they may stand up, and after the end, [s]."""
FIRST_STATE_S = 2.0
"""How long the robot may take to be heard [s]."""
FINISHED, BY_SIGNAL = "finished", "stopped by Ctrl-C"
ENDS = (FINISHED, BY_OPERATOR, BY_SIGNAL)
"""Reasons to let go of the robot that are no fault."""


class RealClock:
    """The clock of this computer."""

    def now(self) -> float:
        """Return the time [s]."""
        return time.monotonic()

    def sleep_until(self, due: float) -> None:
        """Return at that time [s], or at once if it has passed."""
        time.sleep(max(0.0, due - self.now()))


class Loop:
    """Drives a robot from its first sensor values to the end.

    Args:
        driver: the policy.
        robot: what it drives.
        commands: where to walk, and when to go on.
        stops: what lets go of the robot.
        cfg: `stand_up`, `damping`, `seconds`, `max_missed`, `seed`.
        control_dt: seconds between two steps.
        clock: the time that the robot's states are stamped with.
        say: prints a line.
    """

    def __init__(
        self,
        driver: Driver,
        robot: Robot,
        commands: Commands,
        stops: Stops,
        cfg: DeployCfg,
        control_dt: float,
        clock: Clock,
        say: Callable[[str], Any],
    ) -> None:
        self._driver, self._robot, self._commands, self._stops = driver, robot, commands, stops
        self._cfg, self._control_dt, self._clock, self._say = cfg, control_dt, clock, say
        num_joints = len(driver.default_pos)
        self._damped = Drive(np.zeros(num_joints), np.zeros(num_joints), np.full(num_joints, cfg.damping))
        self._pose = driver.default_pos
        self.timing = Timing(control_dt)
        self.mode = Mode.DAMPING
        self.reason: str | None = None
        """Why the loop let go of the robot; None while it has not. `FINISHED` if it was meant to."""
        self._since = 0.0

    def run(self) -> str:
        """Drive the robot until it is damped for good, and return why.

        Ctrl-C damps as everything else does; a second one ends at once. An error of the code damps, too, before it
        goes on its way.
        """
        due = self._clock.now()
        self._enter(Mode.DAMPING, due)
        try:
            while self.reason is None or self._clock.now() - self._since < DAMPED_S:
                try:
                    due = self._run_step(due)
                except KeyboardInterrupt:
                    if self.reason is not None:
                        break
                    self._let_go(BY_SIGNAL, self._clock.now())
        finally:
            self._robot.write(self._damped)
        return self.reason or ""

    def _run_step(self, due: float) -> float:
        """Run the step that is due at this time, wait for the next one, and return when that is due."""
        begun = self._clock.now()
        self._robot.write(self._decide(begun))
        done = self._clock.now()
        self.timing.add(due, begun, done)
        # After a missed deadline the schedule starts anew: steps are left out, not made up for.
        due = due + self._control_dt if done <= due + self._control_dt else done
        self._clock.sleep_until(due)
        return due

    def _decide(self, now: float) -> Drive:
        """Return what the drives shall do at this time [s]."""
        state, request = self._robot.read(), self._commands.poll()
        if self.reason is None and (wrong := self._wrong(now, state)):
            self._let_go(wrong, now)
        if self.reason is None and request.stop is not None:
            self._let_go(request.stop, now)
        if self.reason is not None or state is None:
            return self._damped
        self._go_on(request.go_on, state, now)
        if self.mode is Mode.DAMPING:
            return self._damped
        if self.mode is Mode.STAND_UP:
            share = min((now - self._since) / self._cfg.stand_up, 1.0)
            return self._driver.towards(self._pose + share * (self._driver.default_pos - self._pose))
        drive = self._driver.step(state, request.command)
        if not self._driver.action_is_finite:
            self._let_go("an action of the policy is not finite", now)
            return self._damped
        return drive

    def _wrong(self, now: float, state: RobotState | None) -> str | None:
        """Return what is wrong with the time or the state; the robot may take a while to be heard at first."""
        if state is None and now - self._since < FIRST_STATE_S:
            return None
        missed = self.timing.missed_in_a_row
        late = (
            f"deadlines missed one after the other: {missed}"
            if missed >= self._cfg.max_missed and self.mode is Mode.POLICY
            else None
        )
        wrong = self._stops.check_age(now, state) or late
        return wrong or (None if state is None else self._stops.check(state))

    def _go_on(self, is_asked: bool, state: RobotState, now: float) -> None:
        """Begin the next mode if this one is over and the operator asks for it."""
        spent = now - self._since
        if self.mode is Mode.DAMPING and is_asked and spent >= DAMPED_S:
            self._pose = state.joint_pos.copy()
            self._enter(Mode.STAND_UP, now)
        elif self.mode is Mode.STAND_UP and spent >= self._cfg.stand_up:
            if wrong := self._stops.check_pose(state, self._driver.default_pos):
                self._let_go(wrong, now)
            elif is_asked:
                self._driver.reset(np.random.default_rng(self._cfg.seed))
                self._enter(Mode.POLICY, now)
        elif self.mode is Mode.POLICY and self._cfg.seconds is not None and spent >= self._cfg.seconds:
            self._let_go(FINISHED, now)

    def _let_go(self, reason: str, now: float) -> None:
        self.reason = reason
        self._enter(Mode.DAMPING, now)

    def _enter(self, mode: Mode, now: float) -> None:
        self.mode, self._since = mode, now
        self._robot.enter(mode)
        self._say(f"{mode.value}{f': {self.reason}' if self.reason else ''}")
