import pytest
import torch

from rlmpc.envs.toy import ToyEnv, ToyEnvCfg
from rlmpc.envs.vec_env import finite_rows


def steer(env: ToyEnv) -> torch.Tensor:
    """A hand-written controller that reaches the target."""
    return 2.0 * (env.target - env.position) - 1.5 * env.velocity


def run_episode(env: ToyEnv, controller) -> None:
    for _ in range(env.max_episode_length):
        env.step(controller(env))


def test_groups_are_as_wide_as_the_schema_says(toy_env: ToyEnv):
    obs = toy_env.reset()
    assert {group: values.shape[1] for group, values in obs.items()} == toy_env.obs_schema.dims()


def test_privileged_terms_are_the_true_state(toy_env: ToyEnv):
    toy_env.reset()
    obs = toy_env.step(torch.full((16, 2), 0.5)).obs["teacher"]
    assert torch.equal(obs[:, toy_env.obs_schema.columns("teacher", "velocity")], toy_env.velocity)
    assert torch.allclose(obs[:, toy_env.obs_schema.columns("teacher", "gain")] + 1.0, toy_env.gain)


def test_the_policy_group_is_noisy_and_the_teacher_group_is_not(toy_env: ToyEnv):
    obs = toy_env.reset()
    newest = toy_env.obs_schema.columns("teacher", "target_error")
    true_error = (toy_env.target - toy_env.position).repeat(1, toy_env.cfg.history)
    assert torch.equal(obs["teacher"][:, newest], true_error)
    noise = obs["policy"][:, toy_env.obs_schema.columns("policy", "target_error")] - true_error
    assert 0.0 < noise.std() < 3 * toy_env.cfg.position_noise


def test_leaving_the_arena_terminates_and_standing_times_out(toy_env: ToyEnv):
    toy_env.reset()
    push = torch.zeros(16, 2)
    push[0] = 1.0
    for _ in range(toy_env.max_episode_length - 1):
        step = toy_env.step(push)
        assert not step.truncated[1:].any()
        if step.terminated[0]:
            break
    assert step.terminated.tolist() == [True] + [False] * 15
    for _ in range(toy_env.max_episode_length):
        step = toy_env.step(torch.zeros(16, 2))
        if step.truncated[1]:
            break
    assert step.truncated[1:].all()
    assert not step.terminated.any()


def test_the_terminal_observation_is_from_before_the_reset(toy_env: ToyEnv):
    toy_env.reset()
    for _ in range(toy_env.max_episode_length):
        step = toy_env.step(torch.full((16, 2), 0.05))
    columns = toy_env.obs_schema.columns("critic", "velocity")
    assert step.truncated.all()
    assert step.terminal_obs["critic"][:, columns].norm(dim=1).min() > 0.05
    assert step.obs["critic"][:, columns].abs().max() == 0.0


def test_reaching_the_target_moves_up_and_standing_far_from_it_moves_down(toy_env: ToyEnv):
    toy_env.reset()
    run_episode(toy_env, steer)
    run_episode(toy_env, steer)
    assert (toy_env.level == 2).all()
    toy_env.target[:] = 1.5
    run_episode(toy_env, lambda env: torch.zeros(16, 2))
    assert (toy_env.level == 1).all()


def test_non_finite_actions_count_as_zero(toy_env: ToyEnv):
    toy_env.reset()
    step = toy_env.step(torch.full((16, 2), float("nan")))
    assert step.obs["teacher"].isfinite().all()
    assert (toy_env.velocity == 0.0).all()


def test_the_same_seed_gives_the_same_world():
    first, second = (ToyEnv(ToyEnvCfg(), 4, "cpu", seed=3) for _ in range(2))
    assert torch.equal(first.reset()["policy"], second.reset()["policy"])
    other = ToyEnv(ToyEnvCfg(), 4, "cpu", seed=4)
    assert not torch.equal(first.reset()["policy"], other.reset()["policy"])


def test_every_environment_has_a_wind_of_its_own_that_only_the_privileged_groups_show():
    env = ToyEnv(ToyEnvCfg(), 64, "cpu", seed=0)
    env.reset()
    obs = env.step(torch.zeros(64, 2)).obs
    wind = obs["critic"][:, env.obs_schema.columns("critic", "wind")]
    torch.testing.assert_close(env.velocity, env.step_dt * wind)
    assert wind.abs().max() <= env.cfg.max_wind
    assert 1.0 < wind.std() < 2.0
    assert "wind" not in [term.name for term in env.obs_schema.groups["policy"]]


def test_metrics_have_the_same_names_before_and_after_an_episode_ended(toy_env: ToyEnv):
    toy_env.reset()
    before = toy_env.pop_metrics()
    run_episode(toy_env, steer)
    after = toy_env.pop_metrics()
    assert list(before) == list(after)
    assert before["termination/time_out"][1] == 0.0
    assert after["termination/time_out"][1] == 16.0


def test_an_environment_goes_on_exactly_where_another_was_left(toy_env: ToyEnv):
    toy_env.wind.fill_(0.5)
    toy_env.reset()
    run_episode(toy_env, steer)
    toy_env.step(steer(toy_env))
    other = ToyEnv(toy_env.cfg, 16, "cpu", seed=9)
    other.load_state(toy_env.state())
    for _ in range(130):
        step, twin = toy_env.step(steer(toy_env)), other.step(steer(other))
        assert all(torch.equal(values, twin.obs[group]) for group, values in step.obs.items())
        assert torch.equal(step.reward, twin.reward)
        assert torch.equal(step.truncated, twin.truncated)
    assert torch.equal(toy_env.level, other.level)
    assert toy_env.level.min() > 0
    assert toy_env.pop_metrics() == other.pop_metrics()


def test_an_exact_state_is_a_copy(toy_env: ToyEnv):
    toy_env.reset()
    state = toy_env.state()
    before = {path: values.clone() for path, values in state.items()}
    toy_env.step(torch.ones(16, 2))
    assert all(torch.equal(values, state[path]) for path, values in before.items())


def test_an_exact_state_of_other_environments_is_refused_and_changes_nothing(toy_env: ToyEnv):
    toy_env.reset()
    other = ToyEnv(ToyEnvCfg(history=3), 8, "cpu", seed=9)
    before = other.state()
    with pytest.raises(ValueError, match=r"state\.position: float32 \[16, 2\] \| float32 \[8, 2\]"):
        other.load_state(toy_env.state())
    assert all(torch.equal(values, before[path]) for path, values in other.state().items())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"position_noise": -1.0}, "'env.position_noise' must be at least 0, not -1.0"),
        ({"gain_range": (1.3, 0.7)}, "'env.gain_range' must be two rising numbers"),
        ({"drag_range": (-0.1, 0.6)}, "every entry of 'env.drag_range' must be at least 0"),
        ({"history": 0}, "'env.history' must be at least 1, not 0"),
        ({"step_dt": 0.0}, "'env.step_dt' must be above 0, not 0.0"),
        ({"max_wind": 5.0}, "'env.max_wind' must be at least 0 and below 'env.max_accel' = 4.0, not 5.0"),
    ],
)
def test_numbers_that_make_no_toy_are_refused(changes: dict, sentence: str):
    ToyEnvCfg().finalize()
    with pytest.raises(ValueError, match=sentence):
        ToyEnvCfg(**changes).finalize()


def test_an_environment_is_restarted_within_the_next_step_and_only_then(toy_env: ToyEnv):
    toy_env.reset()
    toy_env.step(torch.full((16, 2), 0.5))
    mask = torch.arange(16) == 3
    toy_env.restart(mask)
    step = toy_env.step(torch.full((16, 2), 0.5))
    assert step.faulty.equal(mask)
    assert step.restarts.equal(mask)
    assert not (step.terminated | step.truncated).any()
    assert (step.reward == 0.0).equal(mask)
    assert toy_env.episode_length.tolist() == [2] * 3 + [0] + [2] * 12
    assert not toy_env.step(torch.zeros(16, 2)).faulty.any()


@pytest.mark.parametrize(
    ("part", "value"),
    [("position", float("nan")), ("velocity", float("nan")), ("velocity", float("inf")), ("target", float("nan"))],
)
def test_a_state_or_reward_that_is_not_finite_is_faulty_and_heals(toy_env: ToyEnv, part: str, value: float):
    """Nothing but the reward depends on the target."""
    toy_env.reset()
    toy_env.episode_length[3] = toy_env.max_episode_length - 1
    getattr(toy_env, part)[3] = value
    step = toy_env.step(torch.full((16, 2), 0.5))
    assert step.faulty.tolist() == [False] * 3 + [True] + [False] * 12
    assert not step.terminated[3]
    assert step.obs_is_finite.all()
    assert all(tensor.isfinite().all() for tensor in toy_env._tensors().values())


def test_a_faulty_episode_changes_neither_level_nor_metrics(toy_env: ToyEnv):
    toy_env.reset()
    toy_env.level[:] = 2
    toy_env.episode_length[:] = toy_env.max_episode_length - 1
    toy_env.velocity[3] = float("nan")
    toy_env.restart(torch.arange(16) == 4)
    toy_env.step(torch.zeros(16, 2))
    metrics = toy_env.pop_metrics()
    assert metrics["termination/time_out"] == (14.0, 14.0)
    assert all(torch.as_tensor(total).isfinite() for total, _ in metrics.values())
    assert toy_env.level[3:5].tolist() == [2, 2]


def test_rows_are_finite_if_all_their_entries_in_all_tensors_are():
    first, second = torch.ones(4, 3), torch.ones(4, 2, 2)
    first[1, 2], second[2, 1, 0] = float("nan"), float("-inf")
    assert finite_rows({"first": first, "second": second}).tolist() == [True, False, False, True]
