"""Terms that are read by name: switching one off is refused, in one sentence, before anything starts."""

import pytest

pytestmark = pytest.mark.sim


@pytest.fixture
def cfg():
    from rlmpc.tasks.phase_1_scan_rl.env_cfg import ScanEnvCfg

    return ScanEnvCfg()


def switch_off(cfg, path: str) -> None:
    """Sets a field of a configuration to None, as an override does; the path starts with "env."."""
    *parents, name = path.removeprefix("env.").split(".")
    for parent in parents:
        cfg = getattr(cfg, parent)
    setattr(cfg, name, None)


@pytest.mark.parametrize(
    ("path", "num_readers"),
    [
        ("env.terminations.left_tile", 1),
        ("env.terminations.time_out", 1),
        ("env.terminations.bad_orientation", 1),
        ("env.rewards.velocity_along_command", 1),
        ("env.rewards.track_ang_vel_z", 1),
        # The phase in three groups of observations and two rewards.
        ("env.actions.gait_cycle", 5),
        # The command in three groups of observations, the critic's average errors, four rewards, pushes and all three
        # curricula.
        ("env.commands.base_velocity", 12),
        ("env.scene.height_scanner", 3),
        # Contacts in two groups of observations and three rewards.
        ("env.scene.contact_forces", 5),
    ],
)
def test_what_others_read_is_switched_off_only_with_its_readers(cfg, path: str, num_readers: int) -> None:
    switch_off(cfg, path)
    with pytest.raises(ValueError, match=rf"^{path} is switched off .*=null$") as refusal:
        cfg.finalize()
    overrides = [word.removesuffix("=null") for word in str(refusal.value).split() if word.endswith("=null")]
    assert len(overrides) == num_readers
    for reader in overrides:
        switch_off(cfg, reader)
    cfg.finalize()


@pytest.mark.parametrize("reward", ["velocity_along_command", "track_ang_vel_z"])
def test_a_reward_without_weight_tells_a_curriculum_nothing(cfg, reward: str) -> None:
    getattr(cfg.rewards, reward).weight = 0.0
    with pytest.raises(ValueError, match=rf"{reward} is switched off .* env\.curriculum\.command_ranges=null$"):
        cfg.finalize()
    cfg.curriculum.command_ranges = None
    cfg.finalize()


def test_what_nobody_reads_is_switched_off_freely(cfg) -> None:
    for path in (
        "env.terminations.fell_below",
        "env.rewards.energy",
        "env.rewards.track_lin_vel_xy",
        "env.events.push",
        "env.observations.policy",
    ):
        switch_off(cfg, path)
    cfg.finalize()
    assert cfg.rewards.energy is None and cfg.observations.policy is None
