import pytest
import torch

from rlmpc.envs.toy import ToyEnv, ToyEnvCfg


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


def test_curriculum_and_hidden_parameters_survive_a_save(toy_env: ToyEnv):
    toy_env.wind.fill_(0.5)
    toy_env.reset()
    run_episode(toy_env, steer)
    other = ToyEnv(toy_env.cfg, 16, "cpu", seed=9)
    other.load_state_dict(toy_env.state_dict())
    assert torch.equal(other.level, toy_env.level)
    for name in ("gain", "drag", "wind"):
        assert torch.equal(getattr(other, name), getattr(toy_env, name))
    assert torch.equal(other.reset()["policy"], toy_env.reset()["policy"])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"position_noise": -1.0}, "position_noise must be at least 0, not -1.0"),
        ({"gain_range": (1.3, 0.7)}, "gain_range must be two rising numbers of at least 0"),
        ({"drag_range": (-0.1, 0.6)}, "drag_range must be two rising numbers of at least 0"),
        ({"history": 0}, "history must be at least 1, not 0"),
        ({"step_dt": 0.0}, "step_dt must be above 0, not 0.0"),
        ({"max_wind": 5.0}, "max_wind must lie in"),
    ],
)
def test_numbers_that_make_no_toy_are_refused(changes: dict, sentence: str):
    ToyEnvCfg().finalize()
    with pytest.raises(ValueError, match=sentence):
        ToyEnvCfg(**changes).finalize()
