"""A G1 that speaks its low-level messages: lost ones, late ones, broken ones, a stuck joint, no SDK."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from rlmpc.contract.contract import Contract
from rlmpc.deploy.g1 import G1Robot
from rlmpc.deploy.g1_messages import COMMAND_FORMAT, MOTORS, STATE_FORMAT, mpeg2
from rlmpc.deploy.robot import Mode
from rlmpc.deploy.unitree import UnitreeTransport
from rlmpc.errors import RunError, UserError


def test_the_checksum_is_crc_32_mpeg_2_over_messages_of_the_sdks_size():
    import struct

    # The check value of the catalogue of CRCs.
    assert mpeg2(b"123456789") == 0x0376E6E7
    assert (struct.calcsize(COMMAND_FORMAT), struct.calcsize(STATE_FORMAT)) == (1004, 2092)


def test_a_g1_walks_through_the_loop_by_its_messages(deployment, g1, fake_g1, loop_of):
    fake_g1.pos = [pos + 0.1 for pos in fake_g1.pos]
    assert loop_of(deployment, g1).run() == "finished"
    joints = deployment.contract.joints
    walking, last = fake_g1.commands[-60], fake_g1.commands[-1]
    for command in (walking, last):
        # Series mode, the robot's own type sent back, and the 29 motors enabled of 35.
        assert (command.mode_pr, command.mode_machine) == (0, 5)
        assert [motor.mode for motor in command.motor_cmd] == [1] * 29 + [0] * 6
    told = {name: walking.motor_cmd[index] for index, name in enumerate(MOTORS)}
    for name, stiffness, pos in zip(joints["names"], joints["stiffness"], joints["default_pos"], strict=True):
        assert told[name].kp == pytest.approx(stiffness)
        assert told[name].q == pytest.approx(pos)
    assert {motor.kp for motor in last.motor_cmd} == {0.0}
    assert {motor.kd for motor in last.motor_cmd[:29]} == {5.0}


def test_joints_in_another_order_go_to_their_own_motors(contract_data, fake_g1):
    contract_data["joints"] = {key: values[::-1] for key, values in contract_data["joints"].items()}
    robot = G1Robot(Contract.from_dict(contract_data), fake_g1)
    fake_g1.pos[3] = 0.25
    state = robot.read()
    assert state is not None
    assert state.joint_pos[contract_data["joints"]["names"].index("left_knee_joint")] == 0.25


def after(fake_g1, monkeypatch, num: int, change) -> list[int]:
    """Change the robot once that many commands have walked; return a list that counts them."""
    walked, send = [0], fake_g1.send

    def counting(command):
        send(command)
        walked[0] += command.motor_cmd[0].kp > 0.0
        if walked[0] == num:
            change()

    monkeypatch.setattr(fake_g1, "send", counting)
    return walked


def check_damped_after(fake_g1, steps: int) -> None:
    stiff = [command.motor_cmd[0].kp > 0.0 for command in fake_g1.commands]
    first = stiff.index(True)
    assert first + steps <= len(stiff) - 1 - stiff[::-1].index(True) + 1 <= first + steps + 1
    assert not any(stiff[-50:])


def test_lost_messages_damp_within_two_control_steps_of_being_too_old(deployment, g1, fake_g1, loop_of, monkeypatch):
    after(fake_g1, monkeypatch, 40, lambda: setattr(fake_g1, "is_silent", True))
    assert loop_of(deployment, g1).run() == "the sensors are 40 ms old"
    # One step acts on a state of 20 ms; the next one finds it older than 30 ms.
    check_damped_after(fake_g1, 41)


def test_messages_with_a_wrong_checksum_count_as_lost(deployment, g1, fake_g1, loop_of, monkeypatch):
    after(fake_g1, monkeypatch, 40, lambda: setattr(fake_g1, "is_corrupt", True))
    assert loop_of(deployment, g1).run() == "the sensors are 40 ms old"
    check_damped_after(fake_g1, 41)


def test_late_messages_damp_at_once(deployment, g1, fake_g1, loop_of, monkeypatch):
    after(fake_g1, monkeypatch, 40, lambda: setattr(fake_g1, "delay", 0.035))
    assert loop_of(deployment, g1).run() == "the sensors are 35 ms old"
    check_damped_after(fake_g1, 40)


def test_a_stuck_joint_keeps_the_policy_from_acting(deployment, g1, fake_g1, loop_of):
    fake_g1.pos[MOTORS.index("left_knee_joint")] = 0.0
    fake_g1.stuck.add("left_knee_joint")
    loop = loop_of(deployment, g1)
    assert loop.run() == "left_knee_joint is stuck, 0.67 rad from where it should stand"
    assert loop.mode is Mode.DAMPING


def test_a_robot_that_is_never_heard_is_not_driven(deployment, g1, fake_g1, loop_of):
    fake_g1.is_silent = True
    assert loop_of(deployment, g1).run() == "no sensor was heard yet"
    assert fake_g1.commands == []


def test_a_policy_of_another_robot_is_refused(biped_contract, fake_g1):
    with pytest.raises(UserError, match="made for another robot than the G1 with 29 joints: "):
        G1Robot(biped_contract, fake_g1)


def test_without_the_sdk_one_sentence_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "unitree_sdk2py", None)
    with pytest.raises(UserError, match=r"robot=g1 needs Unitree's SDK, unitree_sdk2py, which cannot be imported"):
        UnitreeTransport("eth0")


class FakeSdk:
    """The modules of the SDK that the transport uses."""

    def __init__(self, monkeypatch, active: str = "", code: int = 0) -> None:
        self.handlers, self.topics, self.network = {}, [], None
        sdk, said = self, (code, {"name": active} if code == 0 else None)

        class Channel:
            def __init__(self, topic, kind):
                self.topic, self.sent = topic, []
                sdk.topics.append((topic, kind))

            def Init(self, handler=None, _queue=0):  # noqa: N802
                sdk.handlers[self.topic] = handler

            def Write(self, message):  # noqa: N802
                sdk.sent = message

        class Switcher:
            def SetTimeout(self, seconds):  # noqa: N802
                pass

            def Init(self):  # noqa: N802
                pass

            def CheckMode(self):  # noqa: N802
                return said

        def initialize(_domain, network):
            if network == "none":
                raise Exception("channel factory init error.")
            sdk.network = network

        names = {
            "core.channel": {
                "ChannelFactoryInitialize": initialize, "ChannelPublisher": Channel, "ChannelSubscriber": Channel
            },
            "idl.default": {"unitree_hg_msg_dds__LowCmd_": SimpleNamespace},
            "idl.unitree_hg.msg.dds_": {"LowCmd_": "LowCmd_", "LowState_": "LowState_"},
            "comm.motion_switcher.motion_switcher_client": {"MotionSwitcherClient": Switcher},
        }  # fmt: skip
        for name, members in names.items():
            parts = f"unitree_sdk2py.{name}".split(".")
            for end in range(1, len(parts) + 1):
                path = ".".join(parts[:end])
                if not isinstance(sys.modules.get(path), SdkModule):
                    monkeypatch.setitem(sys.modules, path, SdkModule(path))
            sys.modules[f"unitree_sdk2py.{name}"].__dict__.update(members)


class SdkModule(ModuleType):
    __path__: list[str] = []  # noqa: RUF012


def test_the_sdk_carries_the_documented_topics(monkeypatch):
    sdk = FakeSdk(monkeypatch)
    transport = UnitreeTransport("eth0")
    assert sdk.network == "eth0"
    assert sdk.topics == [("rt/lowcmd", "LowCmd_"), ("rt/lowstate", "LowState_")]
    assert transport.newest() is None
    sdk.handlers["rt/lowstate"]("state")
    newest = transport.newest()
    assert newest is not None
    assert newest[0] == "state"
    transport.send("command")
    assert sdk.sent == "command"


@pytest.mark.parametrize(
    ("sdk", "network", "said"),
    [
        ({"active": "ai"}, "eth0", "the robot's own controller 'ai' is active; hang the robot up"),
        ({"code": 3104}, "eth0", r"the robot does not answer \(code 3104\)"),
        ({}, "none", "the network interface 'none' cannot be used"),
    ],
)
def test_a_robot_that_cannot_be_driven_is_refused(monkeypatch, sdk, network, said):
    FakeSdk(monkeypatch, **sdk)
    with pytest.raises(RunError, match=said):
        UnitreeTransport(network)


def test_the_root_is_sensed_in_the_frame_of_the_contract(g1, fake_g1):
    state = g1.read()
    assert state is not None
    np.testing.assert_array_equal(state.quat_wxyz, [1.0, 0.0, 0.0, 0.0])
