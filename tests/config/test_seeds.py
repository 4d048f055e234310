from __future__ import annotations

import random

import pytest

from rlmpc.config.seeds import MAX_PROCESS_SEED, MAX_PROCESSES, MAX_SEED, process_seed
from rlmpc.errors import UserError


def test_the_first_process_takes_the_seed_of_the_run():
    assert [process_seed(seed, 0, 1) for seed in (0, 1, 42, MAX_SEED)] == [0, 1, 42, MAX_SEED]


def test_no_two_pairs_of_seed_and_rank_share_a_seed():
    numbers = random.Random(0)
    seeds = {0, 1, 2, 3, MAX_SEED - 1, MAX_SEED} | {numbers.randint(0, MAX_SEED) for _ in range(500)}
    pairs = [(seed, rank) for seed in seeds for rank in range(MAX_PROCESSES)]
    assert len({process_seed(*pair, MAX_PROCESSES) for pair in pairs}) == len(pairs)


def test_every_accepted_seed_is_accepted_by_the_generators_on_every_rank():
    assert process_seed(MAX_SEED, MAX_PROCESSES - 1, MAX_PROCESSES) == MAX_PROCESS_SEED


def test_too_many_processes_are_refused_on_every_rank():
    for rank in (0, 64):
        with pytest.raises(UserError, match=r"^trainer\.devices x trainer\.num_nodes = 65 processes; at most 64 "):
            process_seed(1, rank, 65)
