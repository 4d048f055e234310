"""The checksum of the Unitree G1's low-level messages, and the order of its motors.

`rt/lowstate` and `rt/lowcmd` are the messages `LowState_` and `LowCmd_` of the SDK's `unitree_hg`. Their checksum is
CRC-32/MPEG-2 over all words of the message but the last, which holds it, in the memory layout of the SDK's C++ structs.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any

NUM_SLOTS = 35
"""Motors that a message has room for."""

MOTORS = (
    *(f"left_{name}_joint" for name in ("hip_pitch", "hip_roll", "hip_yaw", "knee", "ankle_pitch", "ankle_roll")),
    *(f"right_{name}_joint" for name in ("hip_pitch", "hip_roll", "hip_yaw", "knee", "ankle_pitch", "ankle_roll")),
    *(f"waist_{name}_joint" for name in ("yaw", "roll", "pitch")),
    *(f"left_{name}_joint" for name in ("shoulder_pitch", "shoulder_roll", "shoulder_yaw", "elbow")),
    *(f"left_wrist_{name}_joint" for name in ("roll", "pitch", "yaw")),
    *(f"right_{name}_joint" for name in ("shoulder_pitch", "shoulder_roll", "shoulder_yaw", "elbow")),
    *(f"right_wrist_{name}_joint" for name in ("roll", "pitch", "yaw")),
)
"""Joints in the order of the motors, ankles and waist in series (`mode_pr` 0)."""

COMMAND_FORMAT = "<2B2x" + NUM_SLOTS * "B3x5fI" + "5I"
STATE_FORMAT = "<2I2B2xI" + "13fh2x" + NUM_SLOTS * "B3x4f2hf7I" + "40B5I"

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def crc_of_command(message: Any) -> int:
    """Return the checksum that a `LowCmd_` must carry."""
    return _crc(struct.pack(COMMAND_FORMAT, *_command_values(message)))


def crc_of_state(message: Any) -> int:
    """Return the checksum that a `LowState_` must carry."""
    return _crc(struct.pack(STATE_FORMAT, *_state_values(message)))


def _command_values(message: Any) -> Iterator[Any]:
    yield from (message.mode_pr, message.mode_machine)
    for motor in message.motor_cmd:
        yield from (motor.mode, motor.q, motor.dq, motor.tau, motor.kp, motor.kd, motor.reserve)
    yield from (*message.reserve, message.crc)


def _state_values(message: Any) -> Iterator[Any]:
    yield from (*message.version, message.mode_pr, message.mode_machine, message.tick)
    imu = message.imu_state
    yield from (*imu.quaternion, *imu.gyroscope, *imu.accelerometer, *imu.rpy, imu.temperature)
    for motor in message.motor_state:
        yield from (motor.mode, motor.q, motor.dq, motor.ddq, motor.tau_est, *motor.temperature, motor.vol)
        yield from (*motor.sensor, motor.motorstate, *motor.reserve)
    yield from (*message.wireless_remote, *message.reserve, message.crc)


def _crc(message: bytes) -> int:
    """Return CRC-32/MPEG-2 of all little-endian words but the last, each taken from its highest bit on."""
    words = struct.unpack(f"<{len(message) // 4 - 1}I", message[:-4])
    data = struct.pack(f">{len(words)}I", *words)
    return mpeg2(data)


def mpeg2(data: bytes) -> int:
    """Return CRC-32/MPEG-2: the common CRC-32 with all bits in the other order, and not inverted at the end."""
    mirrored = zlib.crc32(data.translate(_REVERSED)) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)
