"""Which checkpoint is meant; what is inside the files tells, not their names, times or links."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from rlmpc.checkpoint import file, find
from rlmpc.checkpoint.file import describe_run, load_checkpoint
from rlmpc.checkpoint.find import best_evaluated, checkpoints_by_age, find_checkpoint, newer_than
from rlmpc.errors import UserError
from tests.checkpoint.written import CONFIG, content, saved


def save(run: Path, epoch: int, at: float = 0.0, name: str = "", **numbers: Any) -> Path:
    """Saves a checkpoint of a run; `at` is the time inside it."""
    section = describe_run(CONFIG, numbers) | {"saved_s": 1.7e9 + at}
    return saved(run / "checkpoints" / f"{name or f'epoch={epoch}'}.ckpt", content(epoch=epoch, rlmpc=section))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two runs; the older one has a better return in its first checkpoint than in its last."""
    root = tmp_path / "logs"
    returns = {("old", 1): 9.0, ("old", 3): 8.0, ("new", 1): 3.0, ("new", 3): 5.0, ("new", 5): 4.0}
    # Written in the opposite order, as a copy may be.
    for at, ((run, epoch), value) in reversed(list(enumerate(returns.items()))):
        save(root / "toy" / run, epoch, at, **{"episode/return": value})
    (root / "toy/new/checkpoints/last.ckpt").symlink_to("epoch=5.ckpt")
    return root


def refusal(where: Path | str, root: Path) -> str:
    with pytest.raises(UserError) as caught:
        find_checkpoint(str(where), root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("{root}/toy/old/checkpoints/epoch=1.ckpt", "toy/old/checkpoints/epoch=1.ckpt"),
        ("{root}/toy/new/checkpoints/last.ckpt", "toy/new/checkpoints/last.ckpt"),
        ("{root}/toy/old", "toy/old/checkpoints/epoch=3.ckpt"),
        ("{root}/toy/old/checkpoints", "toy/old/checkpoints/epoch=3.ckpt"),
        ("latest", "toy/new/checkpoints/epoch=5.ckpt"),
        ("best", "toy/new/checkpoints/epoch=3.ckpt"),
        ("{root}/toy/old/best", "toy/old/checkpoints/epoch=1.ckpt"),
        ("{root}/toy/new/checkpoints/best", "toy/new/checkpoints/epoch=3.ckpt"),
    ],
)
def test_the_file_that_is_meant_is_found(runs: Path, where: str, found: str):
    assert find_checkpoint(where.format(root=runs), runs).path == runs / found


def test_success_in_an_evaluation_tells_the_best_before_the_return_does(tmp_path: Path):
    run = tmp_path / "run"
    for epoch, (success, value) in enumerate([(0.5, 9.0), (0.8, 1.0), (0.8, 2.0), (0.7, 8.0)]):
        save(run, epoch, **{"evaluation/success": success, "episode/return": value})
    # Its iteration ended no evaluation.
    save(run, 4, **{"episode/return": 20.0})
    assert find_checkpoint(f"{run}/best", tmp_path).path.name == "epoch=2.ckpt"
    best = best_evaluated(run / "checkpoints")
    assert best is not None and best.name == "epoch=2.ckpt"
    best.write_bytes(b"cut off")
    best = best_evaluated(run / "checkpoints")
    assert best is not None and best.name == "epoch=1.ckpt"


def test_of_a_run_without_evaluations_none_is_the_best_evaluated(runs: Path):
    assert best_evaluated(runs / "toy/new/checkpoints") is None


def test_the_file_that_is_meant_is_read_once_and_of_others_only_the_summary(runs: Path, monkeypatch):
    read: list[str] = []
    monkeypatch.setattr(file, "_read", lambda path, original=file._read: read.append(path.name) or original(path))
    find_checkpoint("latest", runs, ["ppo"])
    find_checkpoint("best", runs, ["ppo"])
    assert read == ["epoch=5.ckpt", "epoch=3.ckpt"]


def test_in_a_copy_with_files_in_place_of_links_the_newest_is_the_same(runs: Path, tmp_path: Path):
    shutil.copytree(runs, tmp_path / "copy")
    folder = tmp_path / "copy/toy/new/checkpoints"
    assert not (folder / "last.ckpt").is_symlink()
    for at, name in enumerate(("epoch=5", "epoch=3", "last", "epoch=1")):
        os.utime(folder / f"{name}.ckpt", (at, at))
    assert find_checkpoint(str(folder.parent), runs).path == folder / "epoch=5.ckpt"
    (folder / "epoch=5.ckpt").unlink()
    assert find_checkpoint(str(folder.parent), runs).path == folder / "last.ckpt"


def test_the_iteration_inside_counts_not_the_name(tmp_path: Path):
    run = tmp_path / "run"
    save(run, 2, name="epoch=90")
    save(run, 7, name="mine")
    save(run, 4, name="epoch=007")
    assert find_checkpoint(str(run), tmp_path).iteration == 8
    assert [path.name for path in checkpoints_by_age(run / "checkpoints")] == ["epoch=90.ckpt"]


def test_the_latest_run_is_the_one_saved_last_wherever_its_files_were_copied_to(runs: Path):
    for path in (runs / "toy/old/checkpoints").iterdir():
        os.utime(path, (4e9, 4e9))
    assert find_checkpoint("latest", runs).path == runs / "toy/new/checkpoints/epoch=5.ckpt"


def test_runs_behind_links_count_once_even_where_links_go_round(runs: Path, tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (runs / "toy").rename(tmp_path / "elsewhere/toy")
    (runs / "toy").symlink_to(tmp_path / "elsewhere/toy")
    (tmp_path / "elsewhere/toy/round").symlink_to(runs)
    assert find_checkpoint("latest", runs).path == runs / "toy/new/checkpoints/epoch=5.ckpt"


def test_a_broken_newest_file_is_named_together_with_the_last_whole_one(runs: Path):
    folder = runs / "toy/new/checkpoints"
    whole = (folder / "epoch=5.ckpt").read_bytes()
    for where in (folder.parent, folder / "epoch=5.ckpt", "latest"):
        (folder / "epoch=5.ckpt").write_bytes(whole[: len(whole) // 2])
        said = refusal(where, runs)
        assert f"'{folder}/epoch=5.ckpt' is not a checkpoint, or only a part of one" in said
        assert f"the last whole one is '{folder}/epoch=3.ckpt'" in said
    (folder / "epoch=5.ckpt").write_bytes(whole.replace(b"\x00\x00\x80\x3f", b"\x00\x00\x81\x3f", 1))
    assert "a checksum in it is wrong; the last whole one is" in refusal(folder.parent, runs)


def test_an_older_broken_file_does_no_harm(runs: Path):
    (runs / "toy/new/checkpoints/epoch=3.ckpt").write_bytes(b"")
    assert find_checkpoint(f"{runs}/toy/new", runs).path.name == "epoch=5.ckpt"
    assert find_checkpoint(f"{runs}/toy/new/best", runs).path.name == "epoch=5.ckpt"


def test_a_run_goes_on_from_the_last_whole_file_though_a_newer_one_is_broken(runs: Path):
    folder = runs / "toy/new/checkpoints"
    opened = load_checkpoint(folder / "epoch=3.ckpt")
    assert newer_than(opened, folder.parent) == folder / "epoch=5.ckpt"
    (folder / "epoch=5.ckpt").write_bytes(b"")
    assert newer_than(opened, folder.parent) is None


def test_a_folder_of_runs_is_no_run(runs: Path):
    assert refusal(runs / "toy", runs) == (f"there is no checkpoint in '{runs / 'toy'}'; runs below it: new, old")


def test_what_vanishes_while_it_is_looked_for_is_no_error(runs: Path, monkeypatch):
    def vanishing(path: Path, original=find.summary_of):
        if path.name == "epoch=3.ckpt":
            path.unlink(missing_ok=True)
        return original(path)

    monkeypatch.setattr(find, "summary_of", vanishing)
    assert find_checkpoint(f"{runs}/toy/new", runs).path.name == "epoch=5.ckpt"
    assert find_checkpoint(f"{runs}/toy/old", runs).path.name == "epoch=1.ckpt"


def test_a_link_to_a_file_that_is_gone_does_no_harm(runs: Path):
    (runs / "toy/new/checkpoints/gone.ckpt").symlink_to("epoch=9.ckpt")
    assert find_checkpoint("latest", runs).path.name == "epoch=5.ckpt"


def test_runs_of_other_agents_and_runs_that_cannot_be_read_are_passed_over(runs: Path):
    for path in (runs / "toy/new/checkpoints").iterdir():
        path.write_bytes(b"")
    assert find_checkpoint("latest", runs, ["ppo"]).path == runs / "toy/old/checkpoints/epoch=3.ckpt"
    with pytest.raises(UserError, match="there is no checkpoint of rma below"):
        find_checkpoint("latest", runs, ["rma"])
    assert "can be read" in refusal(f"{runs}/toy/new/best", runs)


def test_what_never_ended_an_episode_is_not_the_best(runs: Path):
    save(runs / "toy/new", 7, 9.0)
    assert find_checkpoint("best", runs).path.name == "epoch=3.ckpt"


@pytest.mark.parametrize("where", ["latest", "best", "{root}/none/best", "{root}/none.ckpt", "{root}/empty", "bst"])
def test_where_nothing_is_found_one_sentence_says_so(tmp_path: Path, where: str):
    (tmp_path / "empty").mkdir()
    assert "there is no checkpoint" in refusal(where.format(root=tmp_path), tmp_path)
