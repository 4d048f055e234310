"""Flat and play variants, and physics replayed as a CPU graph."""

import importlib

import pytest
import torch

pytestmark = pytest.mark.sim


def rollout(cfg, num_steps: int) -> list[torch.Tensor]:
    """Steps a small environment with fixed actions and returns everything it produced, then closes it."""
    from isaaclab.envs import ManagerBasedRLEnv

    cfg.scene.num_envs, cfg.sim.device, cfg.seed = 8, "cpu", 3
    cfg.scene.terrain.terrain_generator.num_rows = 2
    cfg.finalize()
    env = ManagerBasedRLEnv(cfg)
    generator = torch.Generator().manual_seed(0)
    produced = [env.reset()[0]["critic"]]
    for _ in range(num_steps):
        groups, reward, terminated, truncated, _ = env.step(torch.randn(8, 30, generator=generator))
        # The environment reuses its buffers.
        step = (groups["policy"], groups["critic"], reward, terminated, truncated)
        produced += [part.clone() for part in step]
    recording = getattr(env.sim.physics_manager, "_recording", None)
    produced.append(torch.tensor(recording is not None))
    env.close()
    return produced


def test_a_replayed_graph_equals_eager_physics_bit_for_bit() -> None:
    from rlmpc.tasks.blind_rl.env_cfg import BlindEnvCfg

    eager_cfg = BlindEnvCfg()
    eager_cfg.cpu_graph = False
    eager, graph = rollout(eager_cfg, num_steps=50), rollout(BlindEnvCfg(), num_steps=50)
    # The last entry says whether a recording was in use.
    assert not eager.pop() and graph.pop()
    assert all(torch.equal(a, b) for a, b in zip(eager, graph, strict=True))
    assert any(terminated.any() for terminated in graph[4::5])


def test_the_flat_variant_steps_on_one_flat_tile() -> None:
    from rlmpc.tasks.blind_rl.env_cfg import BlindFlatEnvCfg

    produced = rollout(BlindFlatEnvCfg(), num_steps=10)
    assert all(torch.isfinite(part).all() for part in produced)
    assert BlindFlatEnvCfg().curriculum.terrain_levels is None
    assert BlindFlatEnvCfg().curriculum.command_ranges is not None


def test_the_scan_play_variant_steps_and_sees_its_own_ground() -> None:
    """Isaac Lab keeps meshes by name: the second simulation must not be given the ground of the first."""
    from rlmpc.tasks.phase_1_scan_rl.env_cfg import ScanPlayEnvCfg

    def spread_on_stairs(difficulty: float) -> torch.Tensor:
        cfg = ScanPlayEnvCfg()
        cfg.scene.terrain.terrain_generator.difficulty_range = (difficulty, difficulty)
        produced = rollout(cfg, num_steps=10)
        assert all(torch.isfinite(part).all() for part in produced)
        # Two robots a kind; the first kind is upward stairs, whose first step is within the scan's reach.
        scan = cfg.scene.height_scanner.max_distance * (1.0 - produced[0][:2, :459])
        return scan.amax(dim=1) - scan.amin(dim=1)

    torch.testing.assert_close(spread_on_stairs(1.0), torch.full((2,), 0.17), atol=1e-3, rtol=0)
    torch.testing.assert_close(spread_on_stairs(0.0), torch.full((2,), 0.01), atol=1e-3, rtol=0)


def test_finalize_follows_overrides_and_may_be_repeated() -> None:
    from rlmpc.tasks.blind_rl.env_cfg import BlindEnvCfg

    cfg = BlindEnvCfg()
    assert cfg.sim.physics.class_type.__name__ == "NewtonCpuGraphManager"
    cfg.decimation, cfg.sim.dt, cfg.cpu_graph = 10, 0.002, False
    for _ in range(2):
        cfg.finalize()
        assert cfg.sim.render_interval == 10
        assert cfg.scene.contact_forces.update_period == 0.002
        assert cfg.sim.physics.class_type.__name__ == "NewtonDemandManager"
        assert cfg.sim.physics.solver_cfg.class_type.__name__ == "NewtonDemandManager"
    assert BlindEnvCfg().cpu_graph


def test_the_scanner_is_due_in_every_step_but_not_in_every_physics_step() -> None:
    from rlmpc.tasks.phase_1_scan_rl.env_cfg import ScanEnvCfg

    cfg = ScanEnvCfg()
    assert 0.015 < cfg.scene.height_scanner.update_period < 0.02
    cfg.decimation, cfg.sim.dt = 10, 0.002
    cfg.finalize()
    assert 0.018 < cfg.scene.height_scanner.update_period < 0.02


def test_an_environment_runs_without_the_rewards_that_its_missing_curriculum_would_read() -> None:
    from rlmpc.tasks.blind_rl.env_cfg import BlindFlatEnvCfg

    cfg = BlindFlatEnvCfg()
    cfg.rewards.velocity_along_command = cfg.rewards.track_ang_vel_z = cfg.curriculum.command_ranges = None
    assert any(terminated.any() for terminated in rollout(cfg, num_steps=50)[4::5])


@pytest.mark.parametrize(
    ("module", "variant", "lin_vel_x", "yaw_rate"),
    [
        ("blind_rl.env_cfg", "BlindPlayEnvCfg", (-0.5, 1.0), 1.0),
        ("blind_rl.env_cfg", "BlindFlatPlayEnvCfg", (-0.5, 1.0), 1.0),
        ("phase_1_scan_rl.env_cfg", "ScanPlayEnvCfg", (0.0, 1.0), 1.0),
        ("reference", "BlindReferencePlayEnvCfg", (-0.5, 1.0), 2.0),
        ("reference", "ScanReferencePlayEnvCfg", (0.0, 1.0), 2.0),
    ],
)
def test_play_has_no_noise_pushes_or_curricula_and_all_commands(
    module: str, variant: str, lin_vel_x: tuple, yaw_rate: float
) -> None:
    cfg = getattr(importlib.import_module(f"rlmpc.tasks.{module}"), variant)()
    assert cfg.scene.num_envs == 50
    assert not cfg.observations.policy.enable_corruption
    assert cfg.events.push is None and cfg.events.friction is not None
    assert set(vars(cfg.curriculum).values()) == {None}
    assert cfg.events.reset_root.params["forward_velocity"] == (0.0, 0.0)
    assert cfg.scene.terrain.max_init_terrain_level is None
    assert cfg.commands.base_velocity.ranges.lin_vel_x == lin_vel_x
    assert cfg.commands.base_velocity.ranges.ang_vel_z == (-yaw_rate, yaw_rate)
    cfg.commands.base_velocity.ranges.ang_vel_z = (0.0, 0.0)
    assert cfg.commands.base_velocity.limits.ang_vel_z == (-yaw_rate, yaw_rate)


def test_a_disturbed_evaluation_keeps_the_noise_and_pushes_of_training() -> None:
    from rlmpc.tasks.blind_rl.env_cfg import BlindEnvCfg

    cfg = BlindEnvCfg()
    cfg.play_mode(disturbed=True)
    assert cfg.observations.policy.enable_corruption and not cfg.observations.teacher.enable_corruption
    assert cfg.events.push is not None
    assert set(vars(cfg.curriculum).values()) == {None}


def test_play_starts_at_rest_although_training_did_not_and_had_no_curricula() -> None:
    from rlmpc.tasks.blind_rl.env_cfg import BlindEnvCfg

    cfg = BlindEnvCfg()
    cfg.events.reset_root.params["forward_velocity"], cfg.curriculum = (0.2, 0.8), None
    cfg.play_mode()
    cfg.finalize()
    assert cfg.events.reset_root.params["forward_velocity"] == (0.0, 0.0)


def test_the_gym_id_makes_the_play_environment() -> None:
    import gymnasium
    from isaaclab_tasks.utils.parse_cfg import load_cfg_from_registry

    import rlmpc.tasks  # noqa: F401

    cfg = load_cfg_from_registry("RLMPC-Blind-G1-Play-v0", "env_cfg_entry_point")
    agent = load_cfg_from_registry("RLMPC-Blind-G1-Play-v0", "rsl_rl_cfg_entry_point")
    assert agent.obs_groups == {"actor": ["teacher"], "critic": ["critic"]}
    cfg.scene.num_envs, cfg.sim.device, cfg.seed = 6, "cpu", 1
    cfg.scene.terrain.terrain_generator.num_rows = 2
    cfg.finalize()
    env = gymnasium.make("RLMPC-Blind-G1-Play-v0", cfg=cfg)
    groups, _ = env.reset()
    # Without noise, the newest joint positions are the same; the teacher has 70 privileged values before.
    torch.testing.assert_close(groups["policy"][:, 9 * 29 : 10 * 29], groups["teacher"][:, 70:99])
    assert env.unwrapped.scene.terrain.terrain_levels.unique().tolist() == [0, 1]
    env.close()
