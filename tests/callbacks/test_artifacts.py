"""Which checkpoints are handed to services."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from callbacks.artifacts import UploadedCheckpoints
from rlmpc.run.tracking import Tracker


class Service(Tracker):
    def __init__(self) -> None:
        self.kept: list[tuple[str, list[str]]] = []

    def add_checkpoint(self, path: Path, aliases: Sequence[str]) -> None:
        self.kept.append((path.name, list(aliases)))


@pytest.mark.parametrize(
    ("is_every", "by_signal", "kept"),
    [
        (False, False, [("epoch=1.ckpt", ["best"]), ("epoch=3.ckpt", ["last"])]),
        (False, True, []),
        (True, False, [("epoch=1.ckpt", ["last"]), ("epoch=3.ckpt", ["last"]), ("epoch=1.ckpt", ["best"])]),
        (True, True, [("epoch=1.ckpt", ["last"])]),
    ],
)
def test_the_best_and_the_last_or_all_are_handed_over_unless_a_signal_leaves_no_time(
    tmp_path, monkeypatch, is_every, by_signal, kept
):
    monkeypatch.setattr("callbacks.artifacts.best_evaluated", lambda folder: folder / "epoch=1.ckpt")
    service, callback = Service(), UploadedCheckpoints(tmp_path, is_every)
    for index in range(4):
        if index % 2:
            (tmp_path / f"epoch={index}.ckpt").touch()
        trainer = SimpleNamespace(is_global_zero=True, loggers=[service], should_stop=by_signal and index == 3)
        callback.on_train_epoch_end(trainer, None)  # type: ignore[arg-type]
    callback.on_train_end(trainer, None)  # type: ignore[arg-type]
    assert service.kept == kept
