"""Services that show runs: what is refused before anything starts."""

from __future__ import annotations

import os
import socket
import sys
import time

import pytest

import train
from rlmpc.errors import UserError
from rlmpc.run.tracking import closed_in_time, in_nobodys_way, keep_id, known_id

TOY = ["task=toy", "device=cpu", "num_envs=16", "trainer.max_epochs=1", "run.dir=run"]


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path):
    """A user who has told neither service anything."""
    # W&B asks the environment once in a process, perhaps in another test. It takes its service out of the environment,
    # where the next test would find it dead.
    if (wandb := sys.modules.get("wandb")) is not None:
        wandb.teardown()
    for name in [name for name in os.environ if name.startswith(("WANDB", "MLFLOW"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "home/.netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "home/wandb"))


@pytest.mark.parametrize("service", ["wandb", "mlflow"])
def test_a_service_that_is_not_installed_ends_the_command_before_it_imports_torch(
    command, monkeypatch, tmp_path, service
):
    monkeypatch.setitem(sys.modules, service, None)
    monkeypatch.setattr(train, "train", pytest.fail)
    code, out, err = command(train.main, *TOY, f"logger=[csv,{service}]")
    assert (code, out) == (2, "")
    assert err == (
        f"train.py: logger={service} needs the package '{service}', which is not installed: "
        f"pip install -e '.[{service}]', or leave it out of 'logger'\n"
    )
    assert not (tmp_path / "run").exists()


def test_a_folder_named_like_a_service_is_no_package(command, monkeypatch, tmp_path):
    """W&B makes such folders."""
    (tmp_path / "wandb").mkdir()
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    code, _, err = command(train.main, *TOY, "logger=[wandb]")
    assert (code, "which is not installed" in err) == (2, True)


def test_a_misspelt_service_gets_the_nearest_name(command):
    code, _, err = command(train.main, *TOY, "logger=[wandbb]")
    assert code == 2
    assert "accepted: tensorboard, csv, wandb, mlflow; did you mean 'wandb'?" in err


def test_wandb_without_a_login_says_how_to_log_in_or_do_without(command, monkeypatch, tmp_path):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setattr(wandb, "login", lambda **_: False)
    code, _, err = command(train.main, *TOY, "logger=[wandb]")
    assert code == 2
    assert "needs a login: run `wandb login`, set WANDB_API_KEY, or take WANDB_MODE=offline" in err
    assert not (tmp_path / "run").exists()


def test_wandb_that_refuses_a_key_or_is_not_reached_is_one_sentence(command, monkeypatch, tmp_path):
    wandb = pytest.importorskip("wandb")

    def login(**_):
        raise wandb.errors.AuthenticationError("Failed to verify credentials\nwith a server.")

    monkeypatch.setattr(wandb, "login", login)
    code, _, err = command(train.main, *TOY, "logger=[wandb]")
    assert code == 2
    assert "logger=wandb has no access: Failed to verify credentials with a server; check network and key" in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("service", "sentence"),
    [
        ("3-1-tcp-localhost-1", "Failed to connect to service on port 1"),
        ("3-1-unix-/nowhere", "Failed to connect to service on socket /nowhere"),
        ("a word", "Failed to parse WANDB_SERVICE='a word'"),
    ],
)
def test_a_service_of_wandb_that_is_dead_or_none_is_one_sentence(command, monkeypatch, tmp_path, service, sentence):
    """It was started by a process that has ended, or somebody mistyped it."""
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SERVICE", service)
    code, out, err = command(train.main, *TOY, "logger=[wandb]")
    assert (code, out) == (2, "")
    assert err == (
        "train.py: wandb does not start with its settings and environment variables (set: WANDB_CONFIG_DIR, "
        f"WANDB_MODE, WANDB_SERVICE): {sentence}\n"
    )
    assert not (tmp_path / "run").exists()


def test_an_mlflow_server_that_is_not_there_is_one_sentence(command, monkeypatch, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        # Bound, but nobody listens.
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{taken.getsockname()[1]}")
        code, _, err = command(train.main, *TOY, "logger=[mlflow]")
    assert code == 2
    assert "which cannot be reached: <urlopen error [Errno 111] Connection refused>" in err
    assert not (tmp_path / "run").exists()


def test_an_address_that_mlflow_does_not_log_to_gets_the_nearest_kind(command, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "htp://server")
    code, _, err = command(train.main, *TOY, "logger=[mlflow]")
    assert code == 2
    assert "is 'htp://server', which MLflow does not log to; accepted: an address that begins with http:" in err
    assert "did you mean 'http'?" in err


def test_films_of_a_task_without_a_robot_or_without_a_checkpoint_are_refused(command, tmp_path):
    code, _, err = command(train.main, *TOY, "video.every=100")
    assert (code, "films a robot, and task 'toy' has none" in err) == (2, True)
    code, _, err = command(train.main, "task=blind_rl", "video.every=50", "run.dir=run")
    assert code == 2
    assert "'video.every' must be a multiple of checkpoint.every = 100, as a film is one of a checkpoint" in err
    assert not (tmp_path / "run").exists()


def test_a_service_that_fails_or_hangs_does_not_end_the_run(monkeypatch, capfd):
    monkeypatch.setattr("rlmpc.run.tracking.CLOSED_WITHIN_S", 0.1)
    for _ in range(2):
        with in_nobodys_way("W&B"):
            raise ConnectionError("the server\nis gone")
    closed_in_time("MLflow", lambda: time.sleep(5.0))
    assert capfd.readouterr().err == (
        "warning: W&B did not take all of the run, which goes on: the server is gone\n"
        "warning: MLflow has not taken all of the run within 0.1 s; the rest may be lost there\n"
    )


def test_ids_of_a_run_are_kept_and_a_broken_file_of_them_is_named(tmp_path):
    assert known_id(tmp_path, "wandb") is None
    keep_id(tmp_path, "wandb", "abc")
    keep_id(tmp_path, "mlflow", "def")
    assert (known_id(tmp_path, "wandb"), known_id(tmp_path, "mlflow")) == ("abc", "def")
    (tmp_path / "trackers.json").write_text("[]")
    with pytest.raises(UserError, match=r"trackers.json' should hold the run's id with each service; remove it"):
        known_id(tmp_path, "wandb")
