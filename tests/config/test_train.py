from __future__ import annotations

import pytest

from rlmpc.config.train import FaultsCfg


@pytest.mark.parametrize(
    ("dump", "device", "recorded"),
    [(None, "cpu", True), (None, "cuda", False), (True, "cuda", True), (False, "cpu", False)],
)
def test_faults_are_recorded_on_the_cpu_unless_chosen_otherwise(dump: bool | None, device: str, recorded: bool):
    assert FaultsCfg(dump=dump).are_recorded(device) == recorded
