import pytest

pytest.importorskip("isaaclab")

from rlmpc.envs.isaaclab.start import _SimulatorOutput

pytestmark = pytest.mark.sim


def test_what_the_simulator_prints_goes_to_a_file_and_compiled_modules_are_reported(tmp_path):
    reports: list[str] = []
    output = _SimulatorOutput(tmp_path / "simulator.log", reports.append)
    output.write("Reward Manager\n")
    for index in range(25):
        output.write(f"Module {index} load on device 'cpu' took 3 ms  (compiled)\n")
    output.close()
    assert "Reward Manager" in (tmp_path / "simulator.log").read_text()
    assert reports == ["  10 kernel modules compiled", "  20 kernel modules compiled"]
