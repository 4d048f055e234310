"""Arranging pictures, and refusing what cannot be filmed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rlmpc.errors import RunError, UserError
from rlmpc.evaluation.video import film, tiled


@pytest.mark.parametrize(("num", "shape"), [(1, (2, 3)), (2, (2, 6)), (3, (4, 6)), (4, (4, 6))])
def test_pictures_stand_side_by_side_and_in_a_square(num: int, shape: tuple[int, int]):
    pictures = np.stack([np.full((2, 3, 3), 10 * (i + 1), dtype=np.uint8) for i in range(num)])
    sheet = tiled(pictures)
    assert sheet.shape == (*shape, 3)
    corners = [sheet[0, 0, 0], sheet[0, -1, 0], sheet[-1, 0, 0], sheet[-1, -1, 0]]
    assert corners == {1: [10] * 4, 2: [10, 20] * 2, 3: [10, 20, 30, 0], 4: [10, 20, 30, 40]}[num]


def test_the_toy_is_not_filmed_and_leaves_no_file(make_toy, steering, tmp_path):
    env = make_toy()
    with pytest.raises(UserError, match="nothing to film"):
        film(env, steering(env, 2.0), tmp_path / "videos" / "toy.mp4", 4)
    assert list(tmp_path.iterdir()) == []


def test_a_policy_whose_actions_are_not_finite_is_not_filmed_further(make_toy, steering, tmp_path, monkeypatch):
    env = make_toy()
    monkeypatch.setattr(env, "pictures", lambda: torch.zeros(4, 32, 32, 3, dtype=torch.uint8))
    policy = steering(env, float("inf"))
    with pytest.raises(RunError, match="the policy's actions are not finite"):
        film(env, policy, tmp_path / "toy.mp4", 4)
    assert len(policy.memories) == 1
