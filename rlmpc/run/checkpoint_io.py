"""How Lightning's Trainer writes and reads checkpoints."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins import TorchCheckpointIO

from rlmpc.checkpoint.arrays import misfits
from rlmpc.checkpoint.file import Checkpoint
from rlmpc.checkpoint.schema import LOOPS, LightningState
from rlmpc.checkpoint.write import write_whole
from rlmpc.config.overrides import flatten
from rlmpc.contract.schema import LARGEST, checked, misfit
from rlmpc.errors import UserError


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its target, flushes and renames it, so that the target is never a partial file.

    Args:
        opened: the checkpoint that the Trainer restores from; it is not read again.
    """

    def __init__(self, opened: Checkpoint | None) -> None:
        super().__init__()
        self._opened = opened

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint.

        Raises:
            RunError: if it cannot be written.
        """
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        # Not `getbuffer`: if the write fails, CPython 3.12.1 crashes when it collects the view.
        write_whole(Path(path), buffer.getvalue())

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Return the whole content of the opened checkpoint, on the CPU; a missing optimizer is no error here."""
        assert self._opened is not None and Path(path) == self._opened.path, f"{path} is not the opened checkpoint"
        return {"optimizer_states": [], "lr_schedulers": [], **self._opened.content}


def check_progress(checkpoint: Checkpoint, trainer: L.Trainer) -> None:
    """Refuse a checkpoint whose parts that only Lightning reads are not those that this Trainer would write.

    Raises:
        UserError: if one is missing, of another kind, or contradicts the checkpoint's iteration.
    """
    path, field = checkpoint.path, "loops"
    state: Any = checked(LightningState, checkpoint.content, path)
    loops = {name: getattr(trainer, name).state_dict() for name in LOOPS}
    if lines := misfits(state["loops"], loops, field):
        raise UserError(f"the counters in '{path}' are not Lightning's (there | here): {lines[0]}")
    for name, value in flatten(state["loops"], f"{field}.").items():
        if not isinstance(value, Mapping) and not 0 <= value <= LARGEST:
            raise misfit(path, name, value, f"input should be at least 0 and at most {LARGEST}")
    epochs = state["loops"]["fit_loop"]["epoch_progress"]
    for part in ("total", "current"):
        started = {key: epochs[part][key] for key in ("ready", "started", "processed")}
        if set(started.values()) != {checkpoint.iteration} or epochs[part]["completed"] not in (
            checkpoint.iteration - 1,
            checkpoint.iteration,
        ):
            where = f"{field}.fit_loop.epoch_progress.{part}"
            raise misfit(path, where, epochs[part], f"all of it should count {checkpoint.iteration} iterations")
