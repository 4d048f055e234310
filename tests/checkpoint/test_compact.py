from __future__ import annotations

import io

import torch

from rlmpc.checkpoint.compact import compact


def size(state: dict) -> int:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return len(buffer.getvalue())


def test_values_stay_and_rows_that_are_alike_take_the_space_of_one():
    state = {"mass": torch.full((1000, 30), 2.5), "pose": torch.randn(1000, 7), "time": 0.5, "total": torch.ones(3)}
    small = compact(state, 1000)
    assert list(small) == list(state)
    assert all(torch.equal(small[path], state[path]) for path in ("mass", "pose", "total"))
    assert small["time"] == 0.5
    # The container rounds up to 64 bytes.
    assert abs(size(state) - size(small) - 999 * 30 * 4) <= 64


def test_only_the_same_bits_are_alike():
    state = {"zeros": torch.tensor([0.0, -0.0]), "nothing": torch.tensor([torch.nan, torch.nan])}
    small = compact(state, 2)
    assert torch.signbit(small["zeros"]).tolist() == [False, True]
    assert small["nothing"].untyped_storage().nbytes() == 4


def test_a_state_without_environments_is_as_it_is():
    assert compact({"rng": torch.ones(5)}, 3).keys() == {"rng"}
