import os
import pwd
from pathlib import Path

import pytest

from rlmpc.config.paths import read_path
from rlmpc.errors import UserError


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """The current folder, with a folder `a` and links beside it; `home` is the home folder."""
    here = tmp_path.resolve() / "here"
    (here / "a/b").mkdir(parents=True)
    (here / "link").symlink_to(here / "a/b")
    (here / "loop").symlink_to(here / "loop")
    (here / "dangling").symlink_to(here / "gone")
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(here.parent / "home"))
    return here


@pytest.mark.parametrize(
    ("text", "path"),
    [
        *(("a", "a"), ("a/", "a"), ("./a", "a"), ("a/../c", "c"), (".", "."), ("new/run", "new/run")),
        *(("link", "a/b"), ("link/..", "a"), ("link/new", "a/b/new"), ("dangling", "gone")),
        *(("..", "{here}/.."), ("../x", "{here}/../x"), ("~", "{here}/../home"), ("~/x//y/", "{here}/../home/x/y")),
        *(("a b", "a b"), ("a=b", "a=b"), ("[/x]", "[/x]"), ("${x}", "${x}"), ("a\nb", "a\nb"), ("é🦿", "é🦿")),
        *(("latest", "latest"), ("best", "best"), ("a/best", "a/best"), ("a/~", "a/~")),
        *(("20241125_1", "20241125_1"), ("..x", "..x"), ("./latest", "{here}/latest"), ("./~", "{here}/~")),
    ],
)
def test_a_path_means_one_thing(here: Path, text: str, path: str):
    expected = os.path.normpath(path.format(here=here)) if "{here}" in path else path
    assert read_path(text, "run.dir") == expected
    assert read_path(expected, "run.dir") == expected


def test_another_users_home_and_a_home_that_is_not_set_are_found(monkeypatch):
    user = pwd.getpwuid(os.getuid())
    assert read_path(f"~{user.pw_name}/x", "ckpt") == str(Path(user.pw_dir).resolve() / "x")
    monkeypatch.delenv("HOME")
    assert read_path("~/x", "ckpt") == str(Path(user.pw_dir).resolve() / "x")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "'ckpt' is empty; give a path"),
        ("~nobody-here/x", "'ckpt': there is no home folder ~nobody-here; a name that starts with ~ is written ./~nob"),
        ("loop", "'ckpt': the link 'loop' leads back to itself"),
        ("loop/x", "'ckpt': the link 'loop/x' leads back to itself"),
        ("x\0", "'ckpt' holds characters that no path has: 'x\\x00'"),
        ("\udcff", "'ckpt' holds characters that no path has: '\\udcff'"),
        ("x" * 300, f"'ckpt': '{'x' * 40}...' is too long for a file's name"),
        ("x/" * 3000, "is too long for a file's name"),
    ],
)
def test_what_is_no_path_is_refused(here: Path, text: str, sentence: str):
    with pytest.raises(UserError) as caught:
        read_path(text, "ckpt")
    assert sentence in str(caught.value)


def test_a_current_folder_that_was_removed_is_named(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(UserError, match="the current folder was removed"):
        read_path("x", "run.dir")
