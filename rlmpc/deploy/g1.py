"""The Unitree G1 with 29 motors, by its low-level messages `rt/lowstate` and `rt/lowcmd`."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from rlmpc.contract.contract import Contract
from rlmpc.deploy.g1_messages import MOTORS, crc_of_command, crc_of_state
from rlmpc.deploy.robot import Drive, Mode, RobotState
from rlmpc.errors import UserError

SERIES = 0
"""`mode_pr` in which ankles and waist are driven by pitch and roll."""
ENABLED = 1


class Transport(Protocol):
    """Carries messages to and from the robot."""

    def newest(self) -> tuple[Any, float] | None:
        """Return the newest `LowState_` and when it came [s, clock of the loop]; None before the first."""
        ...

    def new_command(self) -> Any:
        """Return an empty `LowCmd_`."""
        ...

    def send(self, command: Any) -> None:
        """Send a `LowCmd_`."""
        ...


class G1Robot:
    """A G1 whose own controllers are off.

    The IMU in its messages is that of the pelvis, the root of our description, with the same axes.

    Args:
        contract: the policy's: names of joints.
        transport: carries the messages.

    Raises:
        UserError: if the policy moves other joints.
    """

    def __init__(self, contract: Contract, transport: Transport) -> None:
        names: list[str] = contract.joints["names"]
        if sorted(names) != sorted(MOTORS):
            strange = sorted({*names} ^ {*MOTORS})
            raise UserError(f"the policy was made for another robot than the G1 with 29 joints: {', '.join(strange)}")
        self._motors = [MOTORS.index(name) for name in names]
        self._transport = transport
        self._state: RobotState | None = None
        self._mode_machine = 0

    def read(self) -> RobotState | None:
        """Return the newest state; a message with a wrong checksum counts as lost."""
        received = self._transport.newest()
        if received is None or crc_of_state(received[0]) != received[0].crc:
            return self._state
        message, time = received
        self._mode_machine = message.mode_machine
        motors = [message.motor_state[motor] for motor in self._motors]
        self._state = RobotState(
            time,
            np.array([motor.q for motor in motors], dtype=float),
            np.array([motor.dq for motor in motors], dtype=float),
            np.array([motor.tau_est for motor in motors], dtype=float),
            np.array(message.imu_state.quaternion, dtype=float),
            np.array(message.imu_state.gyroscope, dtype=float),
        )
        return self._state

    def write(self, drive: Drive) -> None:
        """Send targets and gains to all motors. Nothing is sent before the robot was heard: it names its own type."""
        if self._state is None:
            return
        command = self._transport.new_command()
        command.mode_pr, command.mode_machine = SERIES, self._mode_machine
        for motor, target, stiffness, damping in zip(
            self._motors, drive.targets.tolist(), drive.stiffness.tolist(), drive.damping.tolist(), strict=True
        ):
            told = command.motor_cmd[motor]
            told.mode, told.q, told.dq, told.tau, told.kp, told.kd = ENABLED, target, 0.0, 0.0, stiffness, damping
        command.crc = crc_of_command(command)
        self._transport.send(command)

    def enter(self, mode: Mode) -> None:
        """Do nothing: the robot obeys the messages alone."""
