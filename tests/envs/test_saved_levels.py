from __future__ import annotations

import torch

from rlmpc.envs.saved_levels import levels_for, merged_states


def state(levels: list[int], kinds: list[int]) -> dict:
    return {"levels": torch.tensor(levels), "kinds": torch.tensor(kinds), "step_counter": 7}


def test_as_many_environments_keep_their_levels():
    assert levels_for(state([3, 0, 2, 1], [0, 0, 1, 1]), 4).tolist() == [3, 0, 2, 1]


def test_fewer_and_more_environments_have_the_histogram_of_each_kind():
    saved = state([4, 0, 4, 0, 2, 2, 2, 2], [0, 0, 0, 0, 1, 1, 1, 1])
    assert levels_for(saved, 4).tolist() == [0, 4, 2, 2]
    assert levels_for(saved, 16).tolist() == [0] * 4 + [4] * 4 + [2] * 8


def test_ranks_are_merged_kind_by_kind():
    merged = merged_states([state([0, 5], [0, 1]), state([1, 6], [0, 1])])
    assert merged["step_counter"] == 7
    assert levels_for(merged, 8).tolist() == [0, 0, 1, 1, 5, 5, 6, 6]


def test_environments_without_levels_have_none_to_merge():
    assert merged_states([{"terms": {}}, {"terms": {}}]) == {"terms": {}}
