"""Kinds of commands, drawn without a simulation. Needs Isaac Lab."""

from types import SimpleNamespace

import pytest
import torch

pytestmark = pytest.mark.sim

NUM_ENVS = 4000
ALL = torch.ones(NUM_ENVS, dtype=torch.bool)


@pytest.fixture
def command():
    """The command of the default task, before the first draw."""
    from rlmpc.tasks.blind_rl.env_cfg import BlindEnvCfg
    from rlmpc.tasks.mdp.commands import WideningVelocityCommand

    torch.manual_seed(0)
    term = object.__new__(WideningVelocityCommand)
    term.cfg = BlindEnvCfg().commands.base_velocity
    term._env = SimpleNamespace(num_envs=NUM_ENVS, device="cpu")
    term._held = term._is_held = None
    term.vel_command_b = torch.zeros(NUM_ENVS, 3)
    term.heading_target = torch.zeros(NUM_ENVS)
    term.is_heading_env = torch.zeros(NUM_ENVS, dtype=torch.bool)
    term.is_standing_env = torch.zeros(NUM_ENVS, dtype=torch.bool)
    term._ranges, term._limits = term._on_device(term.cfg.ranges), term._on_device(term.cfg.limits)
    term.robot = SimpleNamespace(data=SimpleNamespace(heading_w=SimpleNamespace(torch=torch.zeros(NUM_ENVS))))
    yield term
    term.__dict__.clear()


def share(mask: torch.Tensor) -> float:
    return mask.float().mean().item()


def test_kinds_come_in_their_shares_and_the_other_axes_are_zero(command) -> None:
    command.cfg.rel_standing_envs = 0.0
    command._resample_command(ALL)
    x, y, yaw = (command.vel_command_b != 0.0).unbind(dim=1)
    assert share(x & ~y & ~yaw) == pytest.approx(0.3, abs=0.03)
    assert share(y & ~x & ~yaw) == pytest.approx(0.08, abs=0.02)
    assert share(yaw & ~x & ~y) == pytest.approx(0.1, abs=0.02)
    assert share(x & y & yaw) == pytest.approx(0.52, abs=0.03)


def test_standing_commands_come_from_all_kinds_and_are_zero_from_the_first_step(command) -> None:
    command._resample_command(ALL)
    assert share(command.is_standing_env) == pytest.approx(0.08, abs=0.02)
    assert not command.vel_command_b[command.is_standing_env].any()
    assert command.vel_command_b[~command.is_standing_env].any(dim=1).all()


def test_a_forward_command_keeps_its_heading_and_the_other_kinds_have_none(command) -> None:
    command.cfg.rel_heading_envs, command.cfg.rel_standing_envs = 1.0, 0.0
    command._resample_command(ALL)
    x, y, _ = (command.vel_command_b != 0.0).unbind(dim=1)
    assert command.is_heading_env[x].all() and not command.is_heading_env[~x].any()
    forward = x & ~y
    command._update_command()
    assert command.vel_command_b[forward, 2].any() and not command.vel_command_b[y & ~x, 2].any()


def test_without_kinds_every_command_has_all_axes(command) -> None:
    for name in ("rel_forward_envs", "rel_sideways_envs", "rel_turning_envs", "rel_standing_envs"):
        setattr(command.cfg, name, 0.0)
    command._resample_command(ALL)
    assert command.vel_command_b.all()


def test_only_the_environments_of_a_mask_get_new_commands(command) -> None:
    command._resample_command(ALL)
    before, first = command.vel_command_b.clone(), torch.arange(NUM_ENVS) < 100
    command._resample_command(first)
    assert torch.equal(command.vel_command_b[100:], before[100:])
    assert not torch.equal(command.vel_command_b[:100], before[:100])


def test_a_held_command_is_of_no_kind(command) -> None:
    command.cfg.rel_standing_envs = command.cfg.rel_heading_envs = 1.0
    command._resample_command(ALL)
    command.hold(torch.tensor([[0.4, 0.2, -0.3]]).expand(NUM_ENVS, 3))
    command._resample_command(ALL)
    command._update_command()
    torch.testing.assert_close(command.vel_command_b, torch.tensor([[0.4, 0.2, -0.3]]).expand(NUM_ENVS, 3))
