"""A policy, a clock that obeys, and a G1 that consists of its messages."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rlmpc.config.deploy import DeployCfg
from rlmpc.deploy.commands import Commands, Request
from rlmpc.deploy.driver import Driver
from rlmpc.deploy.g1 import G1Robot
from rlmpc.deploy.g1_messages import MOTORS, crc_of_command, crc_of_state
from rlmpc.deploy.loop import Loop
from rlmpc.deploy.robot import Drive, Mode, Robot, RobotState
from rlmpc.deploy.stops import Stops
from rlmpc.export.deployment import Deployment, load_deployment
from tests.sim2sim.conftest import (  # noqa: F401
    biped_contract,
    contract,
    contract_data,
    controlled_data,
    export,
    senseless,
)

DT = 0.02


class SetClock:
    """Time passes when the loop sleeps, and not otherwise."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    def sleep_until(self, due: float) -> None:
        self.time = max(self.time, due)


class Asking:
    """Asks for no velocity, and to go on at once."""

    def __init__(self) -> None:
        self.request = Request((0.0, 0.0, 0.0), go_on=True)

    def poll(self) -> Request:
        return self.request


class StillRobot:
    """Has its joints wherever it is told to, at once. A test changes what it senses."""

    def __init__(self, clock: SetClock, default_pos: np.ndarray) -> None:
        self.clock, self.pos = clock, default_pos.copy()
        self.modes: list[Mode] = []
        self.written: list[Drive] = []
        self.sense: Callable[[RobotState], RobotState | None] = lambda state: state
        self.steps_in_policy = 0
        self.steps: list[int] = []
        """Steps of the policy that had been sensed when each drive was written."""

    def read(self) -> RobotState | None:
        still = np.zeros(len(self.pos))
        upright = np.array([1.0, 0.0, 0.0, 0.0])
        state = RobotState(self.clock.now(), self.pos.copy(), still, still.copy(), upright, np.zeros(3))
        if self.modes[-1] is not Mode.POLICY:
            return state
        self.steps_in_policy += 1
        return self.sense(state)

    def write(self, drive: Drive) -> None:
        self.written.append(drive)
        self.steps.append(self.steps_in_policy)

    def enter(self, mode: Mode) -> None:
        self.modes.append(mode)


class FakeG1:
    """Speaks the messages of a G1, as plain objects with the fields of the SDK's; simulates joints that obey at once.

    It is the transport at the same time. A state comes every `period` seconds and takes `delay` seconds.
    """

    def __init__(self, clock: SetClock, joint_pos: dict[str, float]) -> None:
        self.clock, self.delay, self.is_silent, self.is_corrupt = clock, 0.0, False, False
        self.stuck: set[str] = set()
        self.pos = [joint_pos[name] for name in MOTORS]
        self.commands: list[Any] = []
        self._last: tuple[Any, float] | None = None

    def newest(self) -> tuple[Any, float] | None:
        if not self.is_silent:
            self._last = self._message(), self.clock.now() - self.delay
        return self._last

    def new_command(self) -> Any:
        motor = SimpleNamespace(mode=0, q=0.0, dq=0.0, tau=0.0, kp=0.0, kd=0.0, reserve=0)
        motors = [copy.copy(motor) for _ in range(35)]
        return SimpleNamespace(mode_pr=1, mode_machine=0, motor_cmd=motors, reserve=[0] * 4, crc=0)

    def send(self, command: Any) -> None:
        assert command.crc == crc_of_command(command)
        self.commands.append(command)
        for index, name in enumerate(MOTORS):
            if command.motor_cmd[index].kp > 0.0 and name not in self.stuck:
                self.pos[index] = command.motor_cmd[index].q

    def _message(self) -> Any:
        imu = SimpleNamespace(
            quaternion=[1.0, 0.0, 0.0, 0.0], gyroscope=[0.0] * 3, accelerometer=[0.0] * 3, rpy=[0.0] * 3, temperature=40
        )
        motors = [
            SimpleNamespace(mode=1, q=q, dq=0.0, ddq=0.0, tau_est=0.0, temperature=[30, 31], vol=48.0, sensor=[0, 0],
                            motorstate=0, reserve=[0] * 4) for q in [*self.pos, *[0.0] * 6]
        ]  # fmt: skip
        tick = round(1000 * self.clock.now())
        message = SimpleNamespace(
            version=[1, 2], mode_pr=0, mode_machine=5, tick=tick, imu_state=imu, motor_state=motors,
            wireless_remote=[0] * 40, reserve=[0] * 4, crc=0,
        )  # fmt: skip
        message.crc = crc_of_state(message) ^ self.is_corrupt
        return message


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def asking() -> Asking:
    return Asking()


@pytest.fixture
def deployment(export: Callable[..., Path]) -> Deployment:  # noqa: F811
    """A policy that asks for the default pose."""
    return load_deployment(export())


@pytest.fixture
def loop_of(clock, asking) -> Callable[..., Loop]:
    """Makes the loop of a policy and a robot; keywords are settings."""

    def make(deployment: Deployment, robot: Robot, commands: Commands = asking, **changes: Any) -> Loop:
        cfg = DeployCfg(**{"stand_up": 0.5, "seconds": 1.0} | changes)
        stops = Stops(deployment.contract, cfg)
        return Loop(Driver(deployment), robot, commands, stops, cfg, DT, clock, lambda line: None)

    return make


@pytest.fixture
def robot(clock, deployment) -> StillRobot:
    return StillRobot(clock, np.array(deployment.contract.joints["default_pos"]))


@pytest.fixture
def fake_g1(clock, deployment) -> FakeG1:
    joints = deployment.contract.joints
    return FakeG1(clock, dict(zip(joints["names"], joints["default_pos"], strict=True)))


@pytest.fixture
def g1(deployment, fake_g1) -> G1Robot:
    return G1Robot(deployment.contract, fake_g1)
