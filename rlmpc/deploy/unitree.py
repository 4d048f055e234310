"""Carries the G1's messages over Unitree's SDK, which is asked for only when a robot is."""

# The SDK is not installed where this is checked.
# pyright: reportMissingImports=false

from __future__ import annotations

import importlib
import time
from typing import Any

from rlmpc.errors import RunError, UserError

SDK = "unitree_sdk2py"
TIMEOUT_S = 5.0


class UnitreeTransport:
    """Publishes `rt/lowcmd` and hears `rt/lowstate`.

    Args:
        network: interface that leads to the robot, for example `eth0`.

    Raises:
        UserError: if the SDK is not installed.
        RunError: if the robot does not answer, or one of its own controllers is active.
    """

    def __init__(self, network: str) -> None:
        channel, default, messages = map(_module, ("core.channel", "idl.default", "idl.unitree_hg.msg.dds_"))
        switcher = _module("comm.motion_switcher.motion_switcher_client")
        self._received: tuple[Any, float] | None = None
        self._new_command = default.unitree_hg_msg_dds__LowCmd_
        try:
            channel.ChannelFactoryInitialize(0, network)
        except Exception as error:  # the SDK raises this class itself
            raise RunError(f"the network interface '{network}' cannot be used: {error}") from error
        _check_idle(switcher.MotionSwitcherClient())
        self._publisher = channel.ChannelPublisher("rt/lowcmd", messages.LowCmd_)
        self._publisher.Init()
        self._subscriber = channel.ChannelSubscriber("rt/lowstate", messages.LowState_)
        # Without a queue: a message is stamped when it comes, and an old one never stands before a newer one.
        self._subscriber.Init(self._hear, 0)

    def newest(self) -> tuple[Any, float] | None:
        """Return the newest `LowState_` and when it came [s, `time.monotonic`]; None before the first."""
        return self._received

    def new_command(self) -> Any:
        """Return an empty `LowCmd_`."""
        return self._new_command()

    def send(self, command: Any) -> None:
        """Send a `LowCmd_`."""
        self._publisher.Write(command)

    def _hear(self, message: Any) -> None:
        self._received = message, time.monotonic()


def _module(name: str) -> Any:
    try:
        return importlib.import_module(f"{SDK}.{name}")
    except ImportError as error:
        raise UserError(f"robot=g1 needs Unitree's SDK, {SDK}, which cannot be imported: {error}") from error


def _check_idle(switcher: Any) -> None:
    """Refuse a robot that one of its own controllers drives: two would fight, and switching it off drops the robot."""
    switcher.SetTimeout(TIMEOUT_S)
    switcher.Init()
    code, result = switcher.CheckMode()
    if code != 0 or result is None:
        raise RunError(f"the robot does not answer (code {code}); is it on, and is 'network' the interface to it?")
    if result.get("name"):
        raise RunError(
            f"the robot's own controller '{result['name']}' is active; hang the robot up, switch it to its debug mode "
            "with the remote control, and start again"
        )
