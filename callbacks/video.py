"""Films the policy while it learns, in a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple

import lightning as L
from lightning.pytorch.callbacks import Checkpoint

from rlmpc.checkpoint.find import checkpoints_by_age
from rlmpc.checkpoint.write import warn_once
from rlmpc.run.launcher_variables import RANGES
from rlmpc.run.tracking import Tracker

PLAY = Path(__file__).parents[1] / "play.py"
FILM = "video.mp4"
"""What `play.py` names its film."""
LAST_FILM_S = 300.0
"""How long the end of training waits for a film that is still being made."""


class Film(NamedTuple):
    """A film that is being made."""

    process: subprocess.Popen[bytes]
    said: IO[bytes]
    """What it writes to stderr: a pipe that nobody reads meanwhile might fill up."""
    iteration: int
    """Index of the iteration after which the policy was saved."""
    folder: Path
    """Where it is being made."""


class Videos(Checkpoint):
    """Films a checkpoint every N iterations in another process, with a simulator of its own on the CPU.

    So training is not touched. The film goes to `videos/epoch=<index>.mp4` in the run's folder and to the loggers.
    While one is being made, no other one is begun. Without a film, a warning says why and training goes on. Being a
    `Checkpoint`, this is called after what writes them.

    Args:
        folder: of the run.
        every: iterations between films.
        steps: control steps of a film.
    """

    def __init__(self, folder: Path, every: int, steps: int) -> None:
        self._folder = folder
        self._every = every
        self._steps = steps
        self._film: Film | None = None

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Take what has been filmed, and begin to film if it is due."""
        if not trainer.is_global_zero:
            return
        if self._film is not None and self._film.process.poll() is not None:
            self._take(trainer)
        if (trainer.current_epoch + 1) % self._every == 0 and self._film is None:
            path = checkpoints_by_age(self._folder / "checkpoints")[0]
            self._film = _begin(path, trainer.current_epoch, self._folder / "videos", self._steps)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Wait for the last film, unless a signal leaves no time."""
        if self._film is None:
            return
        with suppress(subprocess.TimeoutExpired):
            self._film.process.wait(0.0 if trainer.should_stop else LAST_FILM_S)
        if self._film.process.poll() is None:
            self._give_up()
        else:
            self._take(trainer)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """End with training."""
        if self._film is not None:
            self._give_up()

    def _give_up(self) -> None:
        """End a film that is being made, without a word."""
        assert self._film is not None
        film, self._film = self._film, None
        film.process.kill()
        film.process.wait()
        film.said.close()
        shutil.rmtree(film.folder, ignore_errors=True)

    def _take(self, trainer: L.Trainer) -> None:
        """Hand a film over, and remove what else was made with it."""
        assert self._film is not None
        (process, said, iteration, folder), self._film = self._film, None
        made, path = folder / FILM, folder.with_suffix(".mp4")
        if process.returncode == 0 and made.is_file():
            made.replace(path)
            for logger in trainer.loggers:
                if isinstance(logger, Tracker):
                    logger.add_video("video", path, iteration)
        else:
            said.seek(0)
            why = said.read().decode(errors="replace").strip().splitlines()[-1:] or [
                f"its process ended with code {process.returncode}"
            ]
            warn_once(f"there is no video of the policy: {why[0].removeprefix(f'{PLAY}: ')}")
        said.close()
        shutil.rmtree(folder, ignore_errors=True)


def _begin(checkpoint: Path, iteration: int, videos: Path, steps: int) -> Film:
    """Start to film a checkpoint with what other processes leave of the machine; without a GPU or a launcher."""
    folder = videos / checkpoint.stem
    launched = {name for name in os.environ if name in RANGES or name.startswith("SLURM_")}
    environment = {name: value for name, value in os.environ.items() if name not in launched}
    command = [
        *("nice", sys.executable, str(PLAY), f"ckpt={checkpoint}", "evaluate=false", "video=true", f"steps={steps}"),
        *("robots=1", "device=cpu", f"run.dir={folder}"),
    ]
    said = tempfile.TemporaryFile()  # noqa: SIM115
    process = subprocess.Popen(
        command, env=environment | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True,
    )  # fmt: skip
    return Film(process, said, iteration, folder)
