import gc
from types import ModuleType

import pytest

pytestmark = pytest.mark.sim


@pytest.fixture
def start() -> ModuleType:
    from rlmpc.envs.isaaclab import start

    return start


def test_what_the_simulator_prints_goes_to_a_file_and_compiled_modules_are_reported(start, tmp_path, monkeypatch):
    reports: list[str] = []
    clock = iter([0.0, *(4.0 * index for index in range(1, 9))])
    monkeypatch.setattr(start.time, "monotonic", lambda: next(clock))
    output = start._SimulatorOutput(tmp_path / "simulator.log", reports.append)
    output.write("Reward Manager\n")
    for index in range(8):
        output.write(f"Module {index} load on device 'cpu' took 3 ms  (compiled)\n")
    output.write("Module 8 load on device 'cpu' took 3 ms  (cached)\n")
    output.close()
    assert "Reward Manager" in (tmp_path / "simulator.log").read_text()
    assert reports == [
        "  3 of about 65 kernel modules compiled, 12 s",
        "  6 of about 65 kernel modules compiled, 24 s",
    ]


def test_the_garbage_collector_passes_over_what_a_start_made(start):
    before = gc.get_freeze_count()
    try:
        with start.keeping_objects():
            assert not gc.isenabled()
            made = [[] for _ in range(10_000)]
        assert gc.isenabled()
        assert gc.get_freeze_count() - before > len(made)
    finally:
        gc.unfreeze()
