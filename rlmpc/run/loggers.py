"""Makes the loggers of a run."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import imageio.v3 as iio
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]
from torch.utils.tensorboard.writer import FileWriter

from rlmpc.config.train import TrainCfg
from rlmpc.run.csv_log import CsvLog
from rlmpc.run.tracking import Tracker

GIF_STEP = 3
"""Of a video's frames every third is shown in TensorBoard, which knows no better format than GIF."""


def make_loggers(cfg: TrainCfg, folder: Path, first_iteration: int) -> list[Logger]:
    """Return the loggers of a run's first process; no other one has any.

    Args:
        cfg: the run's config.
        folder: of the run.
        first_iteration: what the folder has logged from this iteration on is dropped.
    """
    name = f"{cfg.task.name} {cfg.stage} {folder.name}"

    def make_wandb() -> Logger:
        # Each is an optional package.
        from rlmpc.run.wandb_log import WandbLog

        return WandbLog(folder, name, asdict(cfg))

    def make_mlflow() -> Logger:
        from rlmpc.run.mlflow_log import MlflowLog

        return MlflowLog(folder, name, asdict(cfg), Path(cfg.run.root))

    makers: dict[str, Callable[[], Logger]] = {
        # Without `default_hp_metric`, which would be -1 for every run.
        "tensorboard": lambda: EventLog(
            folder, name="", version="", default_hp_metric=False, purge_step=first_iteration
        ),
        "csv": lambda: CsvLog(folder, first_iteration),
        "wandb": make_wandb,
        "mlflow": make_mlflow,
    }
    return [makers[name]() for name in cfg.logger]


class EventLog(TensorBoardLogger, Tracker):
    """Lightning's log of TensorBoard events, in the folder that is given; Lightning would expand `~` and `$` in it."""

    @property
    def log_dir(self) -> str:
        """The folder."""
        return str(self.save_dir)

    def add_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[str | float]], step: int) -> None:
        """Show a table as text."""
        lines = [columns, ["---"] * len(columns), *rows]
        self.experiment.add_text(name, "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines), step)

    def add_video(self, name: str, path: Path, step: int) -> None:
        """Show an mp4 file as a GIF."""
        frames = iio.imread(path, plugin="pyav")[::GIF_STEP]
        fps = iio.immeta(path, plugin="pyav")["fps"] / GIF_STEP
        gif = io.BytesIO()
        iio.imwrite(gif, frames, extension=".gif", duration=1000.0 / fps, loop=0)
        _, height, width, colours = frames.shape
        image = Summary.Image(height=height, width=width, colorspace=colours, encoded_image_string=gif.getvalue())
        writer = self.experiment.file_writer
        assert isinstance(writer, FileWriter)
        writer.add_summary(Summary(value=[Summary.Value(tag=name, image=image)]), step)
