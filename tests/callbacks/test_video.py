"""Films of checkpoints, made here by stand-ins for `play.py`."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest

from callbacks.video import Videos
from rlmpc.run.loggers import EventLog
from rlmpc.run.tracking import Tracker

FILMS = """
import os, pathlib, sys
given = dict(argument.split("=", 1) for argument in sys.argv[1:])
folder = pathlib.Path(given.pop("run.dir"))
folder.mkdir(parents=True)
launched = [name for name in os.environ if name.startswith("SLURM_") or name == "LOCAL_RANK"]
(folder / "video.mp4").write_text(f"{given['ckpt']} {given['steps']} {launched} {os.environ['CUDA_VISIBLE_DEVICES']!r}")
"""
FAILS = "import sys; sys.exit('work\\n' + sys.argv[0] + ': nothing can be rendered here')"


class Shown(Tracker):
    def __init__(self) -> None:
        self.videos: list[tuple[str, Path, int]] = []

    def add_video(self, name: str, path: Path, step: int) -> None:
        self.videos.append((name, path, step))


class Training:
    """Lets iterations end, with a checkpoint after each."""

    def __init__(self, folder: Path, callback: Videos) -> None:
        self.folder, self.callback, self.shown = folder, callback, Shown()
        (folder / "checkpoints").mkdir()

    def ends(self, index: int) -> None:
        (self.folder / f"checkpoints/epoch={index}.ckpt").touch()
        self.callback.on_train_epoch_end(self._trainer(index), None)  # type: ignore[arg-type]

    def is_over(self, index: int, by_signal: bool = False) -> None:
        self.callback.on_train_end(self._trainer(index, by_signal), None)  # type: ignore[arg-type]

    def _trainer(self, index: int, should_stop: bool = False) -> Any:
        return SimpleNamespace(is_global_zero=True, current_epoch=index, loggers=[self.shown], should_stop=should_stop)


@pytest.fixture
def training(tmp_path, monkeypatch):
    def start(script: str) -> Training:
        path = tmp_path / "stand_in.py"
        path.write_text(script)
        monkeypatch.setattr("callbacks.video.PLAY", path)
        return Training(tmp_path, Videos(tmp_path, every=2, steps=7))

    return start


def test_every_second_checkpoint_is_filmed_by_a_process_without_gpu_and_launcher(training, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_NTASKS", "2")
    monkeypatch.setenv("LOCAL_RANK", "0")
    run = training(FILMS)
    for index in range(5):
        run.ends(index)
        if run.callback._film is not None:
            run.callback._film.process.wait()
    run.is_over(5)
    paths = [tmp_path / f"videos/epoch={index}.mp4" for index in (1, 3)]
    assert run.shown.videos == [("video", path, index) for path, index in zip(paths, (1, 3), strict=True)]
    assert paths[0].read_text() == f"{tmp_path}/checkpoints/epoch=1.ckpt 7 [] ''"
    assert sorted((tmp_path / "videos").iterdir()) == paths


def test_the_end_of_training_waits_for_the_last_film(training):
    run = training(FILMS)
    run.ends(1)
    run.is_over(2)
    assert [index for _, _, index in run.shown.videos] == [1]


def test_without_a_film_training_goes_on_and_is_told_why_once(training, capfd):
    run = training(FAILS)
    for index in (1, 3):
        run.ends(index)
        run.is_over(index + 1)
    assert run.shown.videos == []
    assert capfd.readouterr().err == "warning: there is no video of the policy: nothing can be rendered here\n"


SLEEPS = "import time; time.sleep(60)"


def test_what_films_ends_with_a_training_that_fails(training):
    run = training(SLEEPS)
    run.ends(1)
    process = run.callback._film.process
    run.callback.on_exception(None, None, RuntimeError())  # type: ignore[arg-type]
    assert process.poll() is not None


def test_a_run_that_a_signal_stops_does_not_wait_for_its_film(training, capfd):
    run = training(SLEEPS)
    run.ends(1)
    process = run.callback._film.process
    run.is_over(2, by_signal=True)
    assert process.poll() is not None
    assert (run.shown.videos, capfd.readouterr().err) == ([], "")


def test_tensorboard_shows_a_film_as_a_gif(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    iio.imwrite(tmp_path / "film.mp4", np.zeros((12, 32, 48, 3), np.uint8), plugin="pyav", codec="libx264", fps=25)
    logger = EventLog(tmp_path, name="", version="")
    logger.add_video("video", tmp_path / "film.mp4", 3)
    logger.finalize("success")
    (event,) = EventAccumulator(str(tmp_path)).Reload().Images("video")
    assert (event.step, event.width, event.height) == (3, 48, 32)
    gif = iio.imread(event.encoded_image_string, extension=".gif")
    assert gif.shape[0] >= 1
