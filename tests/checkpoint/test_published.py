"""Published policies: what stays in the file, and what is refused."""

from __future__ import annotations

import pytest
import torch

from rlmpc.checkpoint.file import load_checkpoint
from rlmpc.checkpoint.find import find_checkpoint
from rlmpc.checkpoint.published import CARD, NAME, check_unpublished, write_published
from rlmpc.errors import UserError
from tests.checkpoint.written import CONFIG, content, saved


@pytest.fixture
def checkpoint(tmp_path):
    """A student's checkpoint, with its teacher's weights and paths of the machine where it learned."""
    weights = {"policy.weight": torch.arange(3.0), "teacher.weight": torch.arange(4.0)}
    data = content(state_dict=weights)
    data["rlmpc"]["config"] = CONFIG | {
        "teacher_ckpt": "/home/me/teacher.ckpt",
        "run": {"dir": "/home/me", "root": "x"},
    }
    data["RolloutDataModule"]["ranks"][0] |= {"num_envs": 2, "kept_state": True, "state": {"robot": torch.zeros(2, 3)}}
    return load_checkpoint(saved(tmp_path / "run/epoch=6.ckpt", data))


def test_a_published_policy_is_found_by_its_folder_and_holds_the_policy_alone(checkpoint, tmp_path):
    write_published(checkpoint, tmp_path / "there" / NAME)
    found = find_checkpoint(str(tmp_path / "there"), tmp_path)
    assert found.iteration == checkpoint.iteration
    assert found.hyperparameters == checkpoint.hyperparameters
    assert list(found.state_dict) == ["policy.weight"]
    assert found.state_dict["policy.weight"].equal(torch.arange(3.0))
    assert set(found.content) == {"epoch", "state_dict", "hyper_parameters", "RolloutDataModule", "rlmpc"}
    assert [set(rank) for rank in found.ranks] == [{"num_envs", "curriculum"}, {"curriculum"}]


def test_a_published_policy_names_no_path_of_the_machine_where_it_learned(checkpoint, tmp_path):
    write_published(checkpoint, tmp_path / NAME)
    assert load_checkpoint(tmp_path / NAME).config == CONFIG | {
        "teacher_ckpt": None,
        "run": {"dir": None, "root": "logs"},
    }
    assert b"/home/me" not in (tmp_path / NAME).read_bytes()


def test_a_published_policy_says_which_checkpoint_it_comes_from_also_when_it_is_published_again(checkpoint, tmp_path):
    for before, name in ((checkpoint, "once"), (None, "twice")):
        write_published(before or load_checkpoint(tmp_path / "once" / NAME), tmp_path / name / NAME)
        assert load_checkpoint(tmp_path / name / NAME).published_from == checkpoint.sha256
    assert checkpoint.published_from is None


@pytest.mark.parametrize("name", [NAME, CARD])
def test_what_is_published_is_not_overwritten(tmp_path, name: str):
    check_unpublished(tmp_path)
    (tmp_path / name).write_text("")
    with pytest.raises(UserError, match=f"{name}' exists already and is not overwritten; remove it"):
        check_unpublished(tmp_path)


def test_a_file_is_no_folder_to_publish_in(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file; publish=PATH takes a folder"):
        check_unpublished(tmp_path / "file")
