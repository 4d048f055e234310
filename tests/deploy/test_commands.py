"""What the operator can ask for."""

from __future__ import annotations

import contextlib
import os
import pty

import pytest

from rlmpc.deploy.commands import BY_OPERATOR, Fixed, Keyboard, allowed
from rlmpc.errors import UserError

RANGES = {"lin_vel_x": (0.3, 0.8), "lin_vel_y": (-0.1, 0.1), "ang_vel_z": (-1.0, 1.0)}


@pytest.fixture
def terminal():
    """Both ends of a terminal: the keys', and the program's."""
    keys, program = pty.openpty()
    yield keys, program
    for end in (keys, program):
        with contextlib.suppress(OSError):
            os.close(end)


def test_no_velocity_is_always_allowed():
    assert allowed(RANGES) == [(0.0, 0.8), (-0.1, 0.1), (-1.0, 1.0)]


@pytest.mark.parametrize("ranges", [None, {"lin_vel_x": (0.0, 1.0)}])
def test_a_policy_without_known_ranges_is_refused(ranges):
    with pytest.raises(UserError, match="does not say which velocities"):
        allowed(ranges)


def test_a_command_beyond_training_is_refused():
    with pytest.raises(UserError, match=r"asks for lin_vel_x = 2; training had reached 0 to 0.8"):
        Fixed([2.0, 0.0, 0.0], allowed(RANGES))
    with pytest.raises(UserError, match="takes vx, vy and yaw rate, not 2 numbers"):
        Fixed([0.0, 0.0], allowed(RANGES))


def test_keys_walk_turn_go_on_and_stop(terminal):
    keys, program = terminal
    with Keyboard(allowed(RANGES), program) as keyboard:
        assert keyboard.poll().command == (0.0, 0.0, 0.0)
        os.write(keys, b"wwq")
        assert keyboard.poll().command == pytest.approx((0.2, 0.0, 0.1))
        os.write(keys, b"\n")
        request = keyboard.poll()
        assert (request.go_on, request.stop) == (True, None)
        assert not keyboard.poll().go_on
        os.write(keys, b"sssss")
        # Backwards was never trained.
        assert keyboard.poll().command == pytest.approx((0.0, 0.0, 0.1))
        os.write(keys, b"0 ")
        request = keyboard.poll()
        assert (request.command, request.stop) == ((0.0, 0.0, 0.0), BY_OPERATOR)


def test_a_terminal_that_goes_away_stops(terminal):
    keys, program = terminal
    keyboard = Keyboard(allowed(RANGES), program)
    os.close(keys)
    assert keyboard.poll().stop == "the terminal is gone"


def test_without_a_terminal_the_keyboard_is_refused(tmp_path):
    with (tmp_path / "file").open("w") as file, pytest.raises(UserError, match="the keyboard needs a terminal"):
        Keyboard(allowed(RANGES), file.fileno())
