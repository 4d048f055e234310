"""A gamepad, which is a pipe here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rlmpc.deploy.commands import BY_OPERATOR, allowed
from rlmpc.deploy.gamepad import AXIS, BUTTON, EVENT, INITIAL, STICKS, Gamepad

RANGES = allowed({"lin_vel_x": (-0.4, 0.8), "lin_vel_y": (-0.1, 0.1), "ang_vel_z": (0.5, 1.0)})


class Device:
    """What the kernel writes."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        # A pipe without a writer would be at its end.
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.file = os.open(path, os.O_WRONLY)
        os.close(reader)

    def tells(self, *events: tuple[int, int, int]) -> None:
        """Kind, number and value of events."""
        os.write(self.file, b"".join(EVENT.pack(0, value, kind, number) for kind, number, value in events))


@pytest.fixture
def device(tmp_path):
    return Device(tmp_path / "js0")


def test_an_event_has_the_size_of_the_kernels():
    assert EVENT.size == 8


def test_sticks_ask_for_a_share_of_the_fastest_trained_velocity_on_their_side(device):
    ahead, left, turn = ({entry: axis for axis, entry in STICKS.items()}[entry] for entry in range(3))
    with Gamepad(RANGES, device.path) as gamepad:
        assert gamepad.poll().command == (0.0, 0.0, 0.0)
        device.tells((AXIS, ahead, -32767), (AXIS, left, 32767), (AXIS, turn, -18022))
        assert gamepad.poll().command == pytest.approx((0.8, -0.1, 0.5), abs=1e-4)
        # Without new events a stick stays where it is; to turn right was never trained.
        device.tells((AXIS, ahead, 32767), (AXIS, turn, 32767))
        assert gamepad.poll().command == pytest.approx((-0.4, -0.1, 0.0))
        device.tells((AXIS, ahead, 2000), (AXIS, left, -2000))
        assert gamepad.poll().command == (0.0, 0.0, 0.0)


def test_where_sticks_are_at_the_start_counts_and_buttons_that_are_held_do_not(device):
    with Gamepad(RANGES, device.path) as gamepad:
        device.tells((AXIS | INITIAL, 1, -32767), (BUTTON | INITIAL, 0, 1), (BUTTON | INITIAL, 1, 1))
        request = gamepad.poll()
    assert request.command == pytest.approx((0.8, 0.0, 0.0))
    assert (request.go_on, request.stop) == (False, None)


def test_a_goes_on_once_and_b_stops(device):
    with Gamepad(RANGES, device.path) as gamepad:
        device.tells((BUTTON, 0, 1), (BUTTON, 0, 0))
        assert gamepad.poll().go_on
        assert not gamepad.poll().go_on
        device.tells((BUTTON, 1, 1))
        assert gamepad.poll().stop == BY_OPERATOR


def test_a_gamepad_that_is_gone_stops(device):
    with Gamepad(RANGES, device.path) as gamepad:
        device.tells((AXIS, 1, -32767))
        assert gamepad.poll().command[0] == pytest.approx(0.8)
        os.close(device.file)
        request = gamepad.poll()
    assert (request.command, request.stop) == ((0.0, 0.0, 0.0), "the gamepad is gone")
