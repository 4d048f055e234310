from __future__ import annotations

from pathlib import Path

import pytest

from rlmpc.checkpoint import load_checkpoint
from rlmpc.errors import UserError
from rlmpc.migrations import FORMAT, migrate
from rlmpc.policies import restore_policy

OLD = Path(__file__).parent / "data/format_1.ckpt"
"""Written by the version whose checkpoints had format 1: eight toy environments, two iterations of `ppo`."""


def test_a_file_of_the_first_format_is_read_with_its_levels():
    checkpoint = load_checkpoint(OLD)
    assert checkpoint.iteration == 2
    assert checkpoint.environment is not None
    assert checkpoint.environment["levels"].shape == (8,)
    assert checkpoint.environment["kinds"].tolist() == list(range(8))
    assert restore_policy(checkpoint).groups == ("teacher", "critic")


def test_what_has_todays_format_stays_as_it_is():
    content = {"rlmpc": {"format": FORMAT, "config": {}}, "RolloutDataModule": {"ranks": [{"env": {"level": 3}}]}}
    assert migrate(content, "a.ckpt")["RolloutDataModule"] == {"ranks": [{"env": {"level": 3}}]}


@pytest.mark.parametrize("version", [0, FORMAT + 1, None, "2"])
def test_an_unknown_format_is_named(version):
    with pytest.raises(UserError, match=rf"'a.ckpt' has format {version}; this version reads formats 1 to {FORMAT}"):
        migrate({"rlmpc": {"format": version}}, "a.ckpt")
