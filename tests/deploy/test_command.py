"""`python -m rlmpc.deploy`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rlmpc.deploy.__main__ import compose, main

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTED = sorted(
    {
        command
        for page in (ROOT / "README.md", *ROOT.glob("docs/*.md"))
        for command in re.findall(r"python -m rlmpc\.deploy (DIR[^`#\n]*)", page.read_text())
    }
)


@pytest.mark.parametrize("command", DOCUMENTED)
def test_a_documented_command_has_settings_that_exist(command):
    assert compose(command.split()).policy is not None


def test_documented_commands_are_found():
    assert len(DOCUMENTED) >= 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give the folder of an exported policy"),
        (["{}", "robot=go2"], "unknown 'robot' 'go2'; accepted: mujoco, g1"),
        (["{}", "robt=g1"], "unknown key 'robt'; did you mean 'robot'?"),
        (["{}", "g1"], "'g1' is not an override; write key=value"),
        (["{}", "robot=g1"], "robot=g1 needs network=NAME"),
        (["{}", "robot=g1", "network=eth0", "command=[0,0,0]"], "'command' is for MuJoCo"),
        (["{}", "network=eth0"], "'network' has no effect with robot=mujoco"),
        (["{}", "command=[9,0,0]"], "asks for lin_vel_x = 9; training had reached -0.5 to 1"),
        (["{}", "gamepad={}/js0"], "js0' cannot be opened: No such file or directory; plug the gamepad in"),
        (["{}", "gamepad={}/policy.json"], "policy.json' is no gamepad"),
        (["{}", "gamepad=js0", "command=[0,0,0]"], "'gamepad' has no effect with command=[0.0, 0.0, 0.0]"),
        (["{}", "command=[0,0,0]", "seconds=0"], "'seconds' must be above 0"),
        (["{}/nowhere", "command=[0,0,0]"], "is not an exported policy"),
    ],
)
def test_bad_input_is_one_sentence_and_code_2(export, capsys, arguments, said):
    folder = str(export())
    assert main([argument.replace("{}", folder) for argument in arguments]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_help_names_every_setting(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert "python -m rlmpc.deploy DIR robot=g1 network=eth0" in out
    assert "max_tilt=0.8" in out


def test_a_policy_that_fails_ends_with_code_1_and_says_how_time_was_kept(export, senseless, capsys):
    assert main([str(export(senseless)), "command=[0,0,0]", "seconds=1", "stand_up=2.5"]) == 1
    captured = capsys.readouterr()
    assert captured.err == "rlmpc.deploy: the robot was damped: an action of the policy is not finite\n"
    assert "deadlines missed" in captured.out
