"""Laying out and measuring episodes of a small blind_rl in play mode."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from rlmpc.contract.episode import Trial
from rlmpc.errors import UserError
from rlmpc.evaluation.evaluate import evaluate
from rlmpc.evaluation.grid import make_trials
from rlmpc.rollout.interaction import Action

pytestmark = pytest.mark.sim

NUM_ENVS = 6


@pytest.fixture(scope="module")
def env():
    from rlmpc.envs.isaaclab.env import IsaacLabEnv, load_env_cfg

    cfg = load_env_cfg("RLMPC-Blind-G1-Play-v0")
    cfg.scene.terrain.terrain_generator.num_rows = 3
    # Two columns for each kind.
    cfg.scene.terrain.terrain_generator.num_cols = 6
    cfg.commands.base_velocity.rel_standing_envs = 1.0
    cfg.commands.base_velocity.resampling_time_range = (0.1, 0.1)
    env = IsaacLabEnv(cfg, NUM_ENVS, torch.device("cpu"), seed=1)
    yield env
    env.close()


def zeros() -> torch.Tensor:
    return torch.zeros(NUM_ENVS, 30)


def trials(*kinds: str, level: int = 0) -> list[Trial]:
    return [Trial(kind, level, (0.1 * i, 0.2, -0.3)) for i, kind in enumerate(kinds)]


def pushing(strength: float) -> SimpleNamespace:
    """A policy that moves all joints by the same amount."""
    return SimpleNamespace(
        initial_memory=lambda num_envs: {},
        act=lambda obs, memory, deterministic: Action(torch.full((NUM_ENVS, 30), strength)),
    )


def command_of(env) -> torch.Tensor:
    return env.unwrapped.command_manager.get_command("base_velocity")


def end_by_time_out(env, row: int) -> None:
    env.unwrapped.episode_length_buf[row] = env.max_episode_length - 1


def test_the_environment_names_what_can_be_asked_of_it(env):
    assert env.terrains == ("stairs_up", "stairs_down", "random_boxes")
    assert env.num_levels == 3
    assert env.command_names == ("lin_vel_x", "lin_vel_y", "ang_vel_z")
    assert env.reasons == ("time_out", "left_tile", "fell_below", "bad_orientation", "non_finite")


def test_robots_start_on_the_tiles_of_their_trials(env):
    env.place(trials(*["random_boxes", "stairs_up"] * 3, level=2))
    env.reset()
    terrain = env.unwrapped.scene.terrain
    assert terrain.terrain_types.tolist() == [4, 1, 4, 1, 4, 1]
    assert terrain.terrain_levels.tolist() == [2] * NUM_ENVS
    origins = terrain.terrain_origins[2, terrain.terrain_types]
    torch.testing.assert_close(env.unwrapped.scene["robot"].data.root_pos_w.torch[:, :2], origins[:, :2])


def test_a_command_is_held_although_others_are_drawn_every_few_steps_and_all_would_stand(env):
    asked = trials(*["stairs_up"] * NUM_ENVS)
    env.place(asked)
    env.reset()
    expected = torch.tensor([trial.command for trial in asked])
    for count in range(12):
        if count == 8:
            end_by_time_out(env, 0)
        obs = env.step(zeros()).obs["policy"]
        torch.testing.assert_close(command_of(env), expected)
    columns = env.obs_schema.columns("policy", "velocity_command")
    torch.testing.assert_close(obs[:, columns][:, -3:], expected)


def test_errors_are_those_of_the_tracking_rewards(env):
    from rlmpc.tasks import mdp

    env.place(trials(*["random_boxes"] * NUM_ENVS))
    env.reset()
    for _ in range(10):
        env.step(torch.full((NUM_ENVS, 30), 0.3))
    measured = env.measure()
    reward = mdp.track_lin_vel_xy_yaw_frame_exp(env.unwrapped, std=1.0, command_name="base_velocity")
    torch.testing.assert_close(torch.exp(-(measured.error[:, :2] ** 2).sum(dim=1)), reward)
    reward = mdp.track_yaw_rate_exp(env.unwrapped, "base_velocity", std=1.0, averaged=False)
    torch.testing.assert_close(torch.exp(-(measured.error[:, 2] ** 2)), reward)
    data = env.unwrapped.scene["robot"].data
    torch.testing.assert_close(measured.velocity[:, :2].norm(dim=1), data.root_lin_vel_w.torch[:, :2].norm(dim=1))
    torch.testing.assert_close(measured.velocity[:, 2], data.root_ang_vel_w.torch[:, 2])
    torch.testing.assert_close(measured.position, data.root_pos_w.torch[:, :2])


def test_power_is_the_mean_over_the_physics_steps_of_a_step(env, monkeypatch):
    """The reference takes positions from physics itself: the work of a drive is its torque times the joint's way."""
    robot, physics = env.unwrapped.scene["robot"], env.unwrapped.sim
    env.place(trials(*["stairs_up"] * NUM_ENVS))
    env.reset()
    works, step = [], physics.step

    def step_and_note(**arguments) -> None:
        before = robot.data.joint_pos.torch.clone()
        torque = robot.actuators.applied_effort.torch.clone()
        step(**arguments)
        robot.update(env.unwrapped.physics_dt)
        works.append((torque * (robot.data.joint_pos.torch - before)).abs().sum(dim=1))

    monkeypatch.setattr(physics, "step", step_and_note)
    for count in range(5):
        works.clear()
        env.step(torch.full((NUM_ENVS, 30), 0.3 * count))
        assert len(works) == env.unwrapped.cfg.decimation == 4
        torch.testing.assert_close(
            env.measure().power * env.step_dt, torch.stack(works).sum(dim=0), rtol=1e-2, atol=1e-2
        )
    assert env.measure().power.min() > 1.0


def test_reasons_of_the_last_step_outlive_the_reset_and_a_fall_hides_the_others(env):
    env.place(trials(*["stairs_up"] * NUM_ENVS))
    env.reset()
    env.step(zeros())
    assert not env.ended_by().any()
    robot = env.unwrapped.scene["robot"]
    pose = robot.data.root_pose_w.torch.clone()
    pose[0, 2] -= 20.0
    robot.write_root_pose_to_sim_index(root_pose=pose, env_ids=None)
    end_by_time_out(env, 0)
    end_by_time_out(env, 1)
    step = env.step(zeros())
    assert step.terminated.tolist() == [True] + [False] * 5
    assert env.ended_by()[0].tolist() == [False, False, True, False, False]
    assert env.ended_by()[1].tolist() == [True, False, False, False, False]
    assert not env.ended_by()[2:].any()


def test_all_policies_get_the_same_starts_and_every_round_others(env):
    asked = trials(*["stairs_up"] * NUM_ENVS)

    def start(round_number: int, strength: float) -> torch.Tensor:
        env.place(asked, round_number)
        obs = env.reset()["critic"].clone()
        end_by_time_out(env, 0)
        env.step(torch.full((NUM_ENVS, 30), strength))
        return obs

    first = start(0, 0.0)
    assert not torch.equal(start(1, 1.0), first)
    assert torch.equal(start(0, 0.5), first)


PHYSICS = {
    "joint_stiffness": (-1.0, 1.0),
    "joint_damping": (-1.0, 1.0),
    "torso_mass": (-1.0, 1.0),
    "torso_com": (-0.05, 0.05),
    "foot_friction": (0.3, 1.5),
}
"""Privileged observations of what is randomised, with their ranges; gains and masses in fifths of their defaults."""


def test_every_round_is_of_other_robots_within_their_ranges_and_the_same_ones_again(env):
    asked = trials(*["stairs_up"] * NUM_ENVS)

    def robots(round_number: int) -> dict[str, torch.Tensor]:
        env.place(asked, round_number)
        critic = env.reset()["critic"]
        return {name: critic[:, env.obs_schema.columns("critic", name)].clone() for name in PHYSICS}

    rounds = [robots(number) for number in range(12)]
    again = robots(0)
    for name, (lowest, highest) in PHYSICS.items():
        drawn = torch.stack([values[name] for values in rounds])
        assert len(drawn.flatten(1).unique(dim=0)) == 12
        # A scale that were applied to the last one's result would leave the range soon.
        assert lowest - 1e-4 <= drawn.amin() and drawn.amax() <= highest + 1e-4
        assert torch.equal(again[name], rounds[0][name])


def test_the_solver_computes_with_the_robots_of_the_round(env):
    import warp as wp

    physics = env.unwrapped.sim.physics_manager
    seen = []
    for round_number in range(2):
        env.place(trials(*["stairs_up"] * NUM_ENVS), round_number)
        env.reset()
        env.step(zeros())
        model = physics._solver.mjw_model
        seen.append([wp.to_torch(values).clone() for values in (model.body_mass, model.body_ipos, model.geom_friction)])
    for first, second in zip(*seen, strict=True):
        assert not torch.equal(first, second)


def test_who_stands_still_on_soft_joints_falls_soon_and_again_in_the_same_way(env):
    asked = make_trials(env, levels=[0], commands=[[0.5, 0.0, 0.0]], episodes=2)
    first = evaluate(env, pushing(0.0), asked)
    assert len(first) == NUM_ENVS
    assert {(e.reason, e.fell) for e in first} == {("bad_orientation", True)}
    for episode in first:
        assert 0.5 < episode.length_s < 4.0
        assert 0.05 < episode.distance_m < 3.0
        assert 0.1 < episode.rmse_xy < 2.0
        assert episode.energy_j > 1.0
    assert evaluate(env, pushing(0.0), asked) == first


def test_without_a_camera_there_are_no_pictures(env):
    with pytest.raises(UserError, match="no camera"):
        env.pictures()


def test_kinds_share_the_columns_as_the_generator_deals_them_out(env):
    from isaaclab.utils import replace

    from rlmpc.tasks.terrains import SCAN_TERRAIN_CFG, columns_of_kinds

    assert columns_of_kinds(env.unwrapped.cfg.scene.terrain.terrain_generator) == {
        "stairs_up": [0, 1],
        "stairs_down": [2, 3],
        "random_boxes": [4, 5],
    }
    assert list(columns_of_kinds(SCAN_TERRAIN_CFG).values()) == [[0], [1], [2], [3, 4]]
    assert columns_of_kinds(replace(SCAN_TERRAIN_CFG, curriculum=False)) == {"mixed": [0, 1, 2, 3, 4]}
