"""Rewards by hand. Needs Isaac Lab but starts no simulation."""

import math
from types import SimpleNamespace

import pytest
import torch

pytestmark = pytest.mark.sim


@pytest.mark.parametrize(
    ("velocity", "command", "expected"),
    [
        ((0.5, 0.0), (0.5, 0.0), 1.0),
        ((0.25, 0.0), (0.5, 0.0), 0.5),
        ((0.0, 0.0), (0.5, 0.0), 0.0),
        ((0.75, 0.0), (0.5, 0.0), 0.5),
        ((-0.25, 0.0), (0.5, 0.0), -0.5),
        ((-2.0, 0.0), (0.5, 0.0), -1.0),
        # Across the command, up to 1 m/s is taken off.
        ((0.5, 0.2), (0.5, 0.0), 0.8),
        ((0.2, 0.3), (0.0, 0.3), 0.8),
        ((-2.0, 3.0), (0.5, 0.0), -2.0),
        # Standing: nothing at 0.3 m/s.
        ((0.0, 0.0), (0.0, 0.0), 1.0),
        ((0.15, 0.0), (0.0, 0.0), 0.5),
        ((3.0, 0.0), (0.0, 0.0), -1.0),
        # Commands up to 0.1 m/s mean standing at that speed.
        ((0.1, 0.0), (0.1, 0.0), 1.0),
        ((0.0, 0.0), (0.06, 0.0), 0.8),
    ],
)
def test_velocity_along_the_command_equals_values_by_hand(velocity, command, expected: float) -> None:
    from rlmpc.tasks import mdp

    error = torch.tensor([[velocity[0] - command[0], velocity[1] - command[1], 9.0]])
    term = SimpleNamespace(progress=SimpleNamespace(error=error), command=torch.tensor([[*command, 0.7]]))
    env = SimpleNamespace(command_manager=SimpleNamespace(get_term=lambda name: term))
    reward = mdp.velocity_along_command(env, "base_velocity", min_speed=0.1, stand_speed=0.3)
    assert reward.tolist() == pytest.approx([expected], abs=1e-6)


@pytest.mark.parametrize(("averaged", "expected"), [(True, 1.0), (False, math.exp(-1.0))])
def test_a_twisting_body_turns_as_fast_as_it_does_on_average(averaged: bool, expected: float) -> None:
    from rlmpc.tasks import mdp

    data = SimpleNamespace(root_ang_vel_w=SimpleNamespace(torch=torch.tensor([[7.0, 7.0, 1.2]])))
    term = SimpleNamespace(
        progress=SimpleNamespace(error=torch.tensor([[9.0, 9.0, 0.0]])),
        command=torch.tensor([[0.5, 0.0, 0.7]]),
        robot=SimpleNamespace(data=data),
    )
    env = SimpleNamespace(command_manager=SimpleNamespace(get_term=lambda name: term))
    reward = mdp.track_yaw_rate_exp(env, "base_velocity", std=0.5, averaged=averaged)
    assert reward.tolist() == pytest.approx([expected], abs=1e-6)


@pytest.mark.parametrize(
    ("soles", "speeds", "expected"),
    [
        # The lower sole stands; height over it is 0.1 m, 0.05 m too low at 2 m/s.
        ((0.3, 0.4), (0.0, 2.0), 0.1),
        ((0.4, 0.3), (2.0, 0.0), 0.1),
        ((-0.2, 0.0), (0.0, 2.0), 0.0),
        # The standing foot slides, and lacks the whole height.
        ((0.0, 0.2), (1.0, 1.0), 0.15),
        ((0.0, 0.0), (1.0, 1.0), 0.3),
        ((0.0, 0.0), (0.0, 0.0), 0.0),
    ],
)
def test_swing_clearance_equals_values_by_hand(monkeypatch, soles, speeds, expected: float) -> None:
    from rlmpc.tasks import mdp
    from rlmpc.tasks.mdp import rewards

    monkeypatch.setattr(rewards, "sole_heights", lambda env, asset_cfg, sole_offset: torch.tensor([soles]))
    velocity = torch.zeros(1, 2, 3)
    # Vertical speed does not count.
    velocity[0, :, 1], velocity[0, :, 2] = torch.tensor(speeds), 5.0
    data = SimpleNamespace(body_lin_vel_w=SimpleNamespace(torch=velocity))
    env = SimpleNamespace(scene={"robot": SimpleNamespace(data=data)})
    feet = SimpleNamespace(name="robot", body_ids=[0, 1])
    cost = mdp.swing_clearance(env, asset_cfg=feet, sole_offset=0.03, height=0.15)
    assert cost.tolist() == pytest.approx([expected], abs=1e-6)
