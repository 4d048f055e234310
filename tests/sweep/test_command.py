from __future__ import annotations

import pytest
import torch

from rlmpc.config.train import TrainCfg
from rlmpc.sweep.command import places_for
from rlmpc.sweep.settings import SweepCfg


@pytest.mark.parametrize(
    ("workers", "device", "visible", "places"),
    [
        (None, "auto", None, ["0", "1"]),
        (None, "auto", "3,GPU-5c", ["3", "GPU-5c"]),
        (3, "cuda", None, ["0", "1", "0"]),
        (None, "cpu", None, [None]),
        (2, "cpu", None, [None, None]),
        # One GPU by name is for all runs.
        (2, "cuda:1", None, [None, None]),
    ],
)
def test_every_run_sees_one_gpu(monkeypatch, workers, device: str, visible: str | None, places: list[str | None]):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert places_for(SweepCfg(workers=workers), TrainCfg(device=device)) == places


def test_without_a_gpu_there_is_one_run_at_a_time(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert places_for(SweepCfg(), TrainCfg()) == [None]
