"""The README beside an exported policy."""

from __future__ import annotations

from rlmpc.export.readme import readme

DESCRIBED = {
    "algorithm": "student",
    "task": "blind_rl",
    "iteration": 7,
    "checkpoint_sha256": None,
    "command_ranges": {"lin_vel_x": [0.3, 0.8], "lin_vel_y": [-0.1, 0.1]},
    "versions": {"rlmpc": "0.1.0"},
    "contract": {"control_dt": 0.02, "robot": "g1_29dof", "joints": {"names": ["a", "b"]}, "actions": []},
}


def test_it_says_what_the_policy_is_and_how_to_run_it():
    text = readme(DESCRIBED)
    assert text.startswith("# A policy: student for blind_rl, iteration 7\n")
    assert "acts every 20 ms and moves 2 joints of g1_29dof" in text
    assert "- `lin_vel_x`: 0.3 to 0.8" in text
    assert "python -m rlmpc.deploy DIR robot=mujoco command=[0.4,0,0] seconds=60" in text
    assert "never run on hardware" in text


def test_a_policy_without_a_robot_cannot_be_deployed():
    text = readme(DESCRIBED | {"contract": {"control_dt": 0.05, "robot": "", "joints": {}}, "command_ranges": None})
    assert "rlmpc.deploy" not in text
    assert "Trained commands" not in text


def test_a_policy_for_the_predictive_controller_is_said_to_walk_in_mujoco_and_not_on_a_robot():
    contract = DESCRIBED["contract"] | {"actions": [{"name": "mpc", "dim": 3}]}
    text = readme(DESCRIBED | {"contract": contract})
    assert "rlmpc.deploy" not in text
    assert "python play.py ckpt=DIR backend=mujoco" in text


def test_a_policy_with_actions_of_its_environment_is_not_said_to_run_elsewhere():
    contract = DESCRIBED["contract"] | {"actions": [{"name": "push", "dim": 3}]}
    text = readme(DESCRIBED | {"contract": contract})
    assert "rlmpc.deploy" not in text
    assert "neither MuJoCo nor the deployment loop runs it" in text
