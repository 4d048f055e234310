"""The adapter over Isaac Lab, on a small blind_rl."""

from __future__ import annotations

import pytest
import torch

pytestmark = pytest.mark.sim

NUM_ENVS = 12


@pytest.fixture(scope="module")
def env():
    from rlmpc.envs.isaaclab.env import IsaacLabEnv, load_env_cfg

    cfg = load_env_cfg("RLMPC-Blind-G1-v0")
    cfg.scene.terrain.terrain_generator.num_rows = 3
    # Commands that turn towards a heading change in every step, after the terminal observation of the step.
    cfg.commands.base_velocity.heading_command = False
    env = IsaacLabEnv(cfg, NUM_ENVS, torch.device("cpu"), seed=1)
    yield env
    env.close()


def zeros() -> torch.Tensor:
    return torch.zeros(NUM_ENVS, 30)


def end_by_time_out(env, rows: list[int]) -> None:
    env.unwrapped.episode_length_buf[rows] = env.max_episode_length - 1


def mean(env, name: str) -> float:
    total, weight = env.pop_metrics()[name]
    return (total / weight).item()


def test_the_schema_describes_the_observations(env):
    obs = env.reset()
    assert {group: values.shape[1] for group, values in obs.items()} == env.obs_schema.dims()
    assert env.obs_schema.dims() == {"policy": 779, "critic": 174, "teacher": 171}
    by_name = {term.name: term for term in env.obs_schema.groups["policy"]}
    assert (by_name["joint_pos"].dim, by_name["joint_pos"].history) == (29, 10)
    assert (by_name["gait_phase"].dim, by_name["gait_phase"].history) == (4, 1)
    assert (env.num_actions, env.step_dt, env.max_episode_length) == (30, pytest.approx(0.02), 600)


def test_no_terminal_observation_is_given_while_no_episode_ends(env):
    env.reset()
    assert env.step(zeros()).terminal_obs is None


def test_the_terminal_observation_is_what_would_have_been_seen_without_the_reset(env):
    """Rows that did not end prove it: the observation returned afterwards is the same."""
    env.reset()
    end_by_time_out(env, [0, 1])
    env.unwrapped.command_manager.get_term("base_velocity").time_left[:] = 10.0
    step = env.step(torch.full((NUM_ENVS, 30), 0.7))
    assert step.truncated.tolist() == [True] * 2 + [False] * (NUM_ENVS - 2)
    terminal, actions = step.terminal_obs["critic"], env.obs_schema.columns("critic", "last_action")
    assert torch.equal(terminal[2:], step.obs["critic"][2:])
    assert (terminal[:2, actions] == 0.7).all()
    assert (step.obs["critic"][:2, actions] == 0.0).all()


def test_a_terminal_observation_has_the_frames_of_before(env, monkeypatch):
    monkeypatch.setattr(env.unwrapped, "value_group", "policy")
    env.reset()
    actions = env.obs_schema.columns("policy", "last_action")
    for step in range(4):
        before = env.step(torch.full((NUM_ENVS, 30), 0.1 * step)).obs["policy"][:, actions].clone()
    end_by_time_out(env, [0, 1])
    step = env.step(torch.full((NUM_ENVS, 30), 0.7))
    frames = step.terminal_obs["policy"][:2, actions].view(-1, 5, 30)
    assert (frames[:, -1] == 0.7).all()
    assert torch.equal(frames[:, :-1], before.view(-1, 5, 30)[:2, 1:])
    assert (step.obs["policy"][:2, actions] == 0.0).all()


def test_the_terminal_observation_is_of_the_group_that_the_value_function_sees(env, monkeypatch):
    monkeypatch.setattr(env.unwrapped, "value_group", "teacher")
    env.reset()
    end_by_time_out(env, [0])
    step = env.step(zeros())
    assert list(step.terminal_obs) == ["teacher"]
    assert torch.equal(step.terminal_obs["teacher"][1:], step.obs["teacher"][1:])


def test_a_fall_in_the_step_of_a_time_out_is_not_a_truncation(env):
    env.reset()
    end_by_time_out(env, [0])
    robot = env.unwrapped.scene["robot"]
    pose = robot.data.root_pose_w.torch.clone()
    pose[0, 2] -= 20.0
    robot.write_root_pose_to_sim_index(root_pose=pose, env_ids=None)
    step = env.step(zeros())
    assert step.terminated[0]
    assert not step.truncated[0]


def test_metrics_are_means_over_the_episodes_that_ended(env):
    env.reset()
    names = list(env.pop_metrics())
    end_by_time_out(env, [0, 1, 2])
    env.step(zeros())
    metrics = env.pop_metrics()
    assert list(metrics) == names
    assert {"reward/track_lin_vel_xy", "termination/left_tile", "command/error_vel_xy"} <= set(names)
    assert {"curriculum/terrain_levels/mean", "curriculum/command_ranges/lin_vel_x", "sim/constraints_peak"} <= set(
        names
    )
    assert metrics["termination/time_out"] == (3.0, 3.0)
    assert metrics["termination/bad_orientation"] == (0.0, 3.0)
    total, count = metrics["reward/alive"]
    assert (total / count).item() == pytest.approx(0.15 * env.step_dt / 12.0, rel=1e-4)
    assert env.pop_metrics()["termination/time_out"][1] == 0.0


def test_penalties_are_scaled_in_what_is_learned_from_but_not_in_what_is_logged(env):
    penalties, manager = env._stateful_terms()["penalty_scale"], env.unwrapped.reward_manager
    weights = torch.tensor([manager.get_term_cfg(name).weight for name in manager.active_terms])

    def step_with(scale: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        penalties.load_state_dict({"walked": 0.0, "scale": scale})
        before = manager._episode_sum_buf.clone()
        reward = env.step(torch.full((NUM_ENVS, 30), 0.3)).reward
        return reward, manager._step_reward * env.step_dt, manager._episode_sum_buf - before

    env.reset()
    for scale in (0.0, 0.25, 1.0):
        reward, terms, logged = step_with(scale)
        expected = torch.where(weights < 0.0, scale * terms, terms).sum(dim=1)
        assert (terms[:, weights < 0.0].sum(dim=1) < 0.0).all()
        torch.testing.assert_close(reward, expected, atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(logged, terms, atol=1e-6, rtol=1e-5)


def test_non_finite_and_huge_actions_do_no_harm(env):
    env.reset()
    actions = zeros()
    actions[0], actions[1, 3], actions[2] = float("nan"), float("inf"), 1e9
    step = env.step(actions)
    assert all(values.isfinite().all() for values in step.obs.values())
    assert step.reward.isfinite().all()


def test_staggered_episodes_time_out_at_different_steps(env):
    env.reset()
    env.stagger_episodes()
    ages = env.unwrapped.episode_length_buf
    assert 0 <= ages.min() < ages.max() < env.max_episode_length


def test_curriculum_survives_a_save(env):
    env.reset()
    command = env.unwrapped.command_manager.get_term("base_velocity")
    command.load_state_dict({axis: [-0.1, 0.1] for axis in ("lin_vel_x", "lin_vel_y", "ang_vel_z")})
    command.widen(torch.tensor([True, False, False]), 0.3)
    penalties = env._stateful_terms()["penalty_scale"]
    penalties.load_state_dict({"walked": 0.3, "scale": 0.5})
    env.unwrapped.scene.terrain.terrain_levels[:4] = 2
    state = env.curriculum()
    assert state["terms"]["base_velocity"]["lin_vel_x"] == pytest.approx([-0.4, 0.4])
    env.unwrapped.scene.terrain.terrain_levels[:] = 0
    command.load_state_dict({axis: [-0.1, 0.1] for axis in state["terms"]["base_velocity"]})
    penalties.load_state_dict({"walked": 0.0, "scale": 0.1})
    env.load_curriculum(state)
    assert env.unwrapped.scene.terrain.terrain_levels[:5].tolist() == [2, 2, 2, 2, 0]
    assert env.curriculum()["terms"] == state["terms"]
    env.reset()
    origins = env.unwrapped.scene.terrain.terrain_origins[2, env.unwrapped.scene.terrain.terrain_types[:4]]
    assert torch.equal(env.unwrapped.scene.env_origins[:4], origins)
    assert torch.allclose(env.unwrapped.scene["robot"].data.root_pos_w.torch[:4, :2], origins[:, :2])
