"""The curriculum of penalties. Needs Isaac Lab but starts no simulation."""

import math
from types import SimpleNamespace

import pytest
import torch

pytestmark = pytest.mark.sim

NUM_ENVS = 10
ALL = torch.arange(NUM_ENVS)


@pytest.fixture
def env():
    """Episodes that all ended by a time-out after as much walking as was commanded."""
    from rlmpc.tasks.mdp.progress import Progress

    progress = Progress(NUM_ENVS, "cpu")
    progress.commanded_m[:] = progress.followed_m[:] = 5.0
    return SimpleNamespace(
        num_envs=NUM_ENVS,
        device="cpu",
        max_episode_length=600,
        episode_length_buf=torch.full((NUM_ENVS,), 600),
        command_manager=SimpleNamespace(get_term=lambda name: SimpleNamespace(progress=progress)),
        termination_manager=SimpleNamespace(terminated=torch.zeros(NUM_ENVS, dtype=torch.bool)),
        progress=progress,
    )


PARAMS = {"command_name": "base_velocity", "start": 0.1, "full_share": 0.6}


@pytest.fixture
def term(env):
    from rlmpc.tasks import mdp

    return mdp.PenaltyScale(SimpleNamespace(params=PARAMS), env)


def scale_after(env, term, calls: int = 1, episodes: torch.Tensor = ALL) -> float:
    for _ in range(calls):
        reported = term(env, episodes, **PARAMS)
    assert reported == {"scale": term.scale}
    return term.scale.item()


def test_penalties_are_whole_once_robots_walk(env, term) -> None:
    assert term.scale.item() == pytest.approx(0.1)
    assert scale_after(env, term, episodes=ALL[:3]) == pytest.approx(0.1 + 0.9 * 0.3 / 0.6)
    assert scale_after(env, term, calls=20) == pytest.approx(1.0)


def test_a_mask_and_indices_mean_the_same(env, term) -> None:
    from rlmpc.tasks import mdp

    other = mdp.PenaltyScale(SimpleNamespace(params=PARAMS), env)
    assert scale_after(env, term, episodes=ALL[:3]) == scale_after(env, other, episodes=ALL < 3)


def test_robots_that_stand_where_they_are_to_walk_do_not_raise_it(env, term) -> None:
    env.progress.followed_m[:] = 0.0
    assert scale_after(env, term, calls=50) == pytest.approx(0.1)


def test_robots_that_are_told_to_stand_do_not_raise_it(env, term) -> None:
    env.progress.commanded_m[:] = env.progress.followed_m[:] = 0.0
    assert scale_after(env, term, calls=50) == pytest.approx(0.1)


def test_a_fall_counts_by_its_length_and_a_crossed_tile_as_a_whole_episode(env, term) -> None:
    env.episode_length_buf[:] = 60
    env.termination_manager.terminated[:] = True
    assert scale_after(env, term, calls=200) == pytest.approx(0.1 + 0.9 * 0.1 / 0.6)
    env.termination_manager.terminated[:] = False
    assert scale_after(env, term, calls=200) == pytest.approx(1.0)


def test_it_never_falls_and_nobody_pays_more_than_the_weights(env, term) -> None:
    env.progress.followed_m[:] = 10.0
    highest = scale_after(env, term, calls=20)
    env.episode_length_buf[:] = 1
    env.termination_manager.terminated[:] = True
    assert highest == scale_after(env, term, calls=100) == 1.0


def test_a_reset_before_the_first_step_does_not_count(env, term) -> None:
    env.episode_length_buf[:] = 0
    assert scale_after(env, term) == pytest.approx(0.1)


def test_broken_episodes_leave_no_trace(env, term) -> None:
    """Whether they ended, as a robot that walked nowhere, or go on."""
    env.progress.followed_m[[0, 9]] = math.nan
    assert scale_after(env, term, episodes=ALL[:4]) == pytest.approx(0.1 + 0.9 * 0.3 / 0.6)


def test_its_state_survives_a_checkpoint(env, term) -> None:
    from rlmpc.tasks import mdp

    scale_after(env, term, episodes=ALL[:3])
    other = mdp.PenaltyScale(SimpleNamespace(params=PARAMS), env)
    other.load_state_dict(term.state_dict())
    assert other.scale == term.scale
    assert scale_after(env, other, calls=2) == scale_after(env, term, calls=2)
