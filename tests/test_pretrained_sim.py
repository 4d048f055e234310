"""The policies under `pretrained/` in their own tasks."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import play
from tests.test_pretrained import POLICIES, ROOT, SHORT

pytestmark = pytest.mark.sim


@pytest.mark.parametrize("name", POLICIES)
def test_a_published_policy_is_played_from_its_folder(command, name: str):
    code, out, _ = command(play.main, f"ckpt={ROOT / name}", "device=cpu", "num_envs=1", *SHORT)
    assert code == 0
    assert f"for {POLICIES[name][0]}" in out
    with Path("results/evaluation.csv").open() as file:
        assert [row["reason"] for row in csv.DictReader(file)] == ["time_out"]
