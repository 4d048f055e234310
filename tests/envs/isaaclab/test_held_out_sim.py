"""Environments of a small blind_rl that are held out of training, with Isaac Lab's own steps and with masked ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from rlmpc.evaluation.held_out_trials import held_out_trials

pytestmark = pytest.mark.sim

NUM_ENVS, NUM_HELD = 12, 6


@pytest.fixture(scope="module")
def env() -> Iterator[Any]:
    from rlmpc.envs.isaaclab.env import IsaacLabEnv, load_env_cfg

    cfg = load_env_cfg("RLMPC-Blind-G1-v0")
    cfg.scene.terrain.terrain_generator.num_rows = 3
    cfg.commands.base_velocity.rel_standing_envs = 0.5
    cfg.commands.base_velocity.resampling_time_range = (0.1, 0.1)
    env = IsaacLabEnv(cfg, NUM_ENVS, torch.device("cpu"), seed=3)
    env.reset()
    env.step(torch.zeros(NUM_ENVS, env.num_actions))
    yield env
    env.close()


def command_of(env: Any) -> torch.Tensor:
    return env.unwrapped.command_manager.get_command("base_velocity")


@pytest.mark.parametrize("by_masks", [False, True])
def test_they_keep_level_and_command_and_count_nowhere(env: Any, by_masks: bool) -> None:
    trials = held_out_trials(env, NUM_HELD)
    assert sorted(trial.terrain for trial in trials.values()) == sorted(2 * list(env.terrains))
    assert len({(trial.level, trial.command) for trial in trials.values()}) == 2
    env.by_masks = by_masks
    env.hold_out(trials)
    env.reset()
    env.pop_metrics()
    held = torch.tensor([index in trials for index in range(NUM_ENVS)])
    levels = env.curriculum()["levels"].clone()
    # All episodes end by a time-out after 3 steps, then those of held-out robots alone.
    for ending, episodes in ((torch.ones(NUM_ENVS, dtype=torch.bool), NUM_ENVS - NUM_HELD), (held, 0)):
        for _ in range(8):
            step = env.step(torch.zeros(NUM_ENVS, env.num_actions))
            assert step.motion["velocity"].shape == (NUM_ENVS, 3)
            assert step.motion["position"].shape == (NUM_ENVS, 2)
        env.pop_metrics()
        env.unwrapped.episode_length_buf[ending] = env.max_episode_length - 1
        step = env.step(torch.zeros(NUM_ENVS, env.num_actions))
        assert step.truncated[ending].all()
        assert env.pop_metrics()["termination/time_out"][1] == episodes
        assert (env.unwrapped.episode_length_buf[ending] == 0).all()
        for index, trial in trials.items():
            assert command_of(env)[index].tolist() == pytest.approx(trial.command)
    now = env.curriculum()["levels"]
    assert torch.equal(now[held], levels[held])
    assert [int(now[index]) for index in trials] == [trial.level for trial in trials.values()]
    assert len(command_of(env)[~held].unique(dim=0)) > 2
    env.by_masks = False


def test_which_are_held_out_is_no_state(env: Any) -> None:
    before = env.state().keys()
    env.hold_out(held_out_trials(env, NUM_HELD))
    assert env.state().keys() == before
