"""Laying out and measuring episodes of the toy."""

from __future__ import annotations

import pytest
import torch

from rlmpc.contract.episode import Trial
from rlmpc.envs.toy import ToyEnv
from rlmpc.envs.vec_env import round_seed
from rlmpc.errors import UserError


def test_trials_decide_the_levels_of_the_next_episodes(toy_env: ToyEnv):
    levels = [i % 5 for i in range(16)]
    toy_env.place([Trial("arena", level, ()) for level in levels])
    toy_env.reset()
    assert toy_env.level.tolist() == levels
    reach = 0.8 * 2.0 * (toy_env.level + 1) / 5
    assert (toy_env.target.abs().amax(dim=1) <= reach).all()


def test_starts_depend_on_the_round_alone(toy_env: ToyEnv):
    trials = [Trial("arena", 4, ())] * 16

    def start(round_number: int) -> torch.Tensor:
        toy_env.place(trials, round_number)
        toy_env.reset()
        toy_env.step(torch.ones(16, 2))
        return toy_env.target.clone()

    first = start(0)
    assert not torch.equal(start(1), first)
    assert torch.equal(start(0), first)


def test_rounds_of_neighbouring_seeds_have_nothing_in_common():
    seeds = [round_seed(seed, round_number) for seed in range(20) for round_number in range(20)]
    assert len(set(seeds)) == 400
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_what_is_measured_is_the_state_after_the_step(toy_env: ToyEnv):
    toy_env.reset()
    toy_env.step(torch.full((16, 2), 0.5))
    measured = toy_env.measure()
    assert torch.equal(measured.error[:, :2], toy_env.position - toy_env.target)
    assert torch.equal(measured.velocity[:, :2], toy_env.velocity)
    assert torch.equal(measured.position, toy_env.position)
    force = 4.0 * toy_env.gain[:, 0] * 0.5
    torch.testing.assert_close(measured.power, force * toy_env.velocity.sum(dim=1))
    assert (measured.power > 0.0).all()
    assert (measured.error[:, 2] == 0.0).all()


def test_reasons_are_those_of_the_last_step(toy_env: ToyEnv):
    toy_env.reset()
    toy_env.step(torch.zeros(16, 2))
    assert not toy_env.ended_by().any()
    toy_env.position[0] = 3.0
    toy_env.episode_length[1] = toy_env.max_episode_length - 1
    toy_env.step(torch.zeros(16, 2))
    by_name = dict(zip(toy_env.reasons, toy_env.ended_by().unbind(1), strict=True))
    assert by_name["left_arena"].nonzero().flatten().tolist() == [0]
    assert by_name["time_out"].nonzero().flatten().tolist() == [1]


def test_the_toy_has_nothing_to_film(toy_env: ToyEnv):
    with pytest.raises(UserError, match="task 'toy' has nothing to film"):
        toy_env.pictures()
