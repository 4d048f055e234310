"""Folders that the simulator cannot write to, named with the variable that moves them."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path

import pytest

from rlmpc.command_line.train import compose_train
from rlmpc.envs import make
from rlmpc.envs.isaaclab import caches
from rlmpc.errors import UserError


@pytest.fixture(autouse=True)
def somewhere(monkeypatch, tmp_path) -> Path:
    """A home and a folder for temporary files that can be written."""
    for name in ("WARP_CACHE_PATH", "XDG_CACHE_HOME", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "TMPDIR"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


@pytest.mark.parametrize(
    ("variables", "folder", "advice"),
    [
        ({"HOME": "/proc/nowhere"}, "/proc/nowhere/.cache/warp", "set WARP_CACHE_PATH"),
        ({"HOME": "/dev/null"}, "/dev/null/.cache/warp", "set WARP_CACHE_PATH"),
        ({"XDG_CACHE_HOME": "/proc/nowhere"}, "/proc/nowhere/warp", "set WARP_CACHE_PATH"),
        ({"WARP_CACHE_PATH": "/dev/null"}, "/dev/null", "set WARP_CACHE_PATH"),
    ],
)
def test_a_folder_that_cannot_be_written_is_named_with_what_to_set(monkeypatch, variables, folder, advice):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=rf"kernels cannot be written to '{re.escape(folder)}.*{advice}"):
        caches.check_caches()


def test_a_user_without_a_home_is_told_so(monkeypatch):
    monkeypatch.setattr(os.path, "expanduser", str)
    with pytest.raises(UserError, match="this user has no home folder"):
        caches.check_caches()


def test_a_home_that_cannot_be_written_is_none_of_warps_concern_if_its_cache_lies_elsewhere(monkeypatch, somewhere):
    monkeypatch.setenv("HOME", "/proc/nowhere")
    monkeypatch.setenv("WARP_CACHE_PATH", str(somewhere / "kernels"))
    caches.check_caches()


def test_another_users_log_folder_in_the_way_is_named(somewhere):
    (somewhere / "TMPDIR/isaaclab").touch()
    with pytest.raises(UserError, match=r"Isaac Lab's log cannot be written to .*; set TMPDIR"):
        caches.check_caches()


def test_no_folder_for_temporary_files_is_said(monkeypatch):
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/proc/nowhere"])
    with pytest.raises(UserError, match="set TMPDIR"):
        caches.check_caches()


def test_a_task_is_refused_before_anything_of_the_simulator_is_imported(monkeypatch):
    cfg, _ = compose_train(["task=blind_rl"])
    monkeypatch.setenv("HOME", "/proc/nowhere")
    monkeypatch.setitem(sys.modules, "rlmpc.envs.isaaclab.env", None)
    monkeypatch.setattr(make.importlib.util, "find_spec", lambda _: True)
    with pytest.raises(UserError, match="set WARP_CACHE_PATH"):
        make.env_config(cfg.task, {})
