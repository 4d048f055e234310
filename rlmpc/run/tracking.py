"""Services that show runs in a browser, `logger=[wandb]` and `[mlflow]`: whether they can be had, and their ids.

What belongs to a site or a person (server, project, key, offline or not) is taken from the environment variables that
these services define; docs/logging.md lists them.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

from rlmpc.checkpoint.write import warn_once, write_whole
from rlmpc.config.installed import is_installed
from rlmpc.config.train import TrainCfg
from rlmpc.errors import UserError, nearest

SERVICES = ("wandb", "mlflow")
"""Optional packages of these names."""
IDS = "trackers.json"
"""File in a run's folder with the id that each service gave it, by which a resumed run goes on there."""
PROJECT = "rlmpc"
"""Project, or experiment, of runs for which the environment names none."""
TRACKING_URI = "MLFLOW_TRACKING_URI"
FILES_ALLOWED = "MLFLOW_ALLOW_FILE_STORE"
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
REACHED_WITHIN_S = 10.0
CLOSED_WITHIN_S = 60.0
"""How long the end of a run waits for a service. A signal, or SLURM, leaves a run little longer."""


class Tracker:
    """What a logger shows besides numbers."""

    def add_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[str | float]], step: int) -> None:
        """Show a table; `step` is the iteration."""

    def add_video(self, name: str, path: Path, step: int) -> None:
        """Show an mp4 file."""

    def add_checkpoint(self, path: Path, aliases: Sequence[str]) -> None:
        """Keep a copy of a checkpoint under names such as `last`."""


def one_line(error: Exception) -> str:
    """Return what a library says as a part of a sentence; its class, where it says nothing."""
    return " ".join(str(error).split()).rstrip(".:") or type(error).__name__


@contextmanager
def in_nobodys_way(service: str) -> Iterator[None]:
    """Go on with a warning where the body, which hands something to a service, fails in whatever way."""
    try:
        yield
    except Exception as error:
        warn_once(f"{service} did not take all of the run, which goes on: {one_line(error)}")


def closed_in_time(service: str, close: Callable[[], object]) -> None:
    """End a run at a service, unless that takes too long; then the process goes on without."""

    def run() -> None:
        with in_nobodys_way(service):
            close()

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(CLOSED_WITHIN_S)
    if thread.is_alive():
        warn_once(f"{service} has not taken all of the run within {CLOSED_WITHIN_S:g} s; the rest may be lost there")


def known_id(folder: Path, service: str) -> str | None:
    """Return the id by which a service knows the run of a folder; None if it does not.

    Raises:
        UserError: if the file of ids cannot be read.
    """
    path = folder / IDS
    try:
        found = json.loads(path.read_text()).get(service) if path.is_file() else None
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(f"'{path}' should hold the run's id with each service; remove it to start new ones") from error
    return None if found is None else str(found)


def keep_id(folder: Path, service: str, given: str) -> None:
    """Keep the id that a service gave to the run of a folder."""
    path = folder / IDS
    ids = json.loads(path.read_text()) if path.is_file() else {}
    write_whole(path, (json.dumps(ids | {service: given}, indent=2) + "\n").encode())


def tracking_uri(root: Path) -> str:
    """Return where MLflow keeps runs: as the environment says, or else a database in the folder of all runs."""
    return os.environ.get(TRACKING_URI) or f"sqlite:///{root.absolute()}/mlflow.db"


def check_services(cfg: TrainCfg) -> None:
    """Refuse services that are not installed, cannot be reached, or want a login, and films that there cannot be.

    Nothing is written.

    Raises:
        UserError: with what to do about it.
    """
    if cfg.video.every is not None:
        _check_film(cfg)
    for service in SERVICES:
        if service in cfg.logger:
            _check_installed(service, service)
    if "wandb" in cfg.logger:
        _check_wandb()
    if "mlflow" in cfg.logger:
        _check_mlflow(tracking_uri(Path(cfg.run.root)))


def _check_film(cfg: TrainCfg) -> None:
    if cfg.task.simulator != "isaaclab":
        raise UserError(f"'video.every' films a robot, and task '{cfg.task.name}' has none; leave it out")
    if cfg.video.every is not None and cfg.video.every % cfg.checkpoint.every:
        raise UserError(
            f"'video.every' must be a multiple of checkpoint.every = {cfg.checkpoint.every}, as a film is one of a "
            f"checkpoint; it is {cfg.video.every}"
        )


def _check_installed(package: str, extra: str) -> None:
    if not is_installed(package):
        raise UserError(
            f"logger={extra} needs the package '{package}', which is not installed: pip install -e '.[{extra}]', or "
            "leave it out of 'logger'"
        )


def _check_wandb() -> None:
    import wandb
    from wandb.errors import AuthenticationError, UsageError

    instead = "or take WANDB_MODE=offline, and `wandb sync` later"
    try:
        mode = wandb.setup().settings.mode
    # In whatever way it fails: the class that W&B raises where WANDB_SERVICE leads nowhere is not public.
    except Exception as error:
        given = ", ".join(sorted(name for name in os.environ if name.startswith("WANDB"))) or "none"
        raise UserError(
            f"wandb does not start with its settings and environment variables (set: {given}): {one_line(error)}"
        ) from error
    if mode in ("offline", "disabled"):
        return
    try:
        is_logged_in = wandb.login(prompt=False, verify=True)
    except (AuthenticationError, UsageError) as error:
        raise UserError(f"logger=wandb has no access: {one_line(error)}; check network and key, {instead}") from error
    if not is_logged_in:
        raise UserError(f"logger=wandb needs a login: run `wandb login`, set WANDB_API_KEY, {instead}")


def _check_mlflow(uri: str) -> None:
    scheme = urlsplit(uri).scheme
    known = [*("http", "https", "databricks"), *DATABASES]
    if scheme in ("", "file") and os.environ.get(FILES_ALLOWED, "").lower() in ("true", "1"):
        return
    if scheme.split("+")[0] not in known:
        raise UserError(
            f"{TRACKING_URI} is '{uri}', which MLflow does not log to; accepted: an address that begins with "
            f"{', '.join(f'{name}:' for name in known)}{nearest(scheme, known)}"
        )
    if scheme.split("+")[0] in DATABASES:
        for package in ("sqlalchemy", "alembic"):
            _check_installed(package, "mlflow")
    if scheme in ("http", "https"):
        try:
            urllib.request.urlopen(uri, timeout=REACHED_WITHIN_S).close()
        except urllib.error.HTTPError:
            # It answers. Whether it lets this run in, its own client finds out.
            return
        except (OSError, ValueError) as error:
            raise UserError(f"{TRACKING_URI} is '{uri}', which cannot be reached: {one_line(error)}") from error
