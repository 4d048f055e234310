"""Registration of the tasks, without Isaac Lab."""

import subprocess
import sys

import gymnasium
import pytest

import rlmpc.tasks  # noqa: F401

TASKS = {
    "RLMPC-Blind-G1-v0": ("blind_rl", "BlindEnvCfg", "BlindPpoRunnerCfg"),
    "RLMPC-Blind-G1-Play-v0": ("blind_rl", "BlindPlayEnvCfg", "BlindPpoRunnerCfg"),
    "RLMPC-Blind-Flat-G1-v0": ("blind_rl", "BlindFlatEnvCfg", "BlindPpoRunnerCfg"),
    "RLMPC-Blind-Flat-G1-Play-v0": ("blind_rl", "BlindFlatPlayEnvCfg", "BlindPpoRunnerCfg"),
    "RLMPC-Blind-MPC-G1-v0": ("blind_mpc", "BlindMpcEnvCfg", "BlindPpoRunnerCfg"),
    "RLMPC-Blind-MPC-G1-Play-v0": ("blind_mpc", "BlindMpcPlayEnvCfg", "BlindPpoRunnerCfg"),
    "RLMPC-Blind-MPC-Flat-G1-v0": ("blind_mpc", "BlindMpcFlatEnvCfg", "BlindPpoRunnerCfg"),
    "RLMPC-Blind-MPC-Flat-G1-Play-v0": ("blind_mpc", "BlindMpcFlatPlayEnvCfg", "BlindPpoRunnerCfg"),
    "RLMPC-Phase1-Scan-G1-v0": ("phase_1_scan_rl", "ScanEnvCfg", "ScanPpoRunnerCfg"),
    "RLMPC-Phase1-Scan-G1-Play-v0": ("phase_1_scan_rl", "ScanPlayEnvCfg", "ScanPpoRunnerCfg"),
    "RLMPC-Blind-Reference-G1-v0": ("blind_rl", "BlindReferenceEnvCfg", "BlindPpoRunnerCfg"),
    "RLMPC-Blind-Reference-G1-Play-v0": ("blind_rl", "BlindReferencePlayEnvCfg", "BlindPpoRunnerCfg"),
    "RLMPC-Phase1-Scan-Reference-G1-v0": ("phase_1_scan_rl", "ScanReferenceEnvCfg", "ScanPpoRunnerCfg"),
    "RLMPC-Phase1-Scan-Reference-G1-Play-v0": ("phase_1_scan_rl", "ScanReferencePlayEnvCfg", "ScanPpoRunnerCfg"),
}


@pytest.mark.parametrize(("task_id", "names"), TASKS.items())
def test_each_task_names_its_environment_and_agent_configuration(task_id: str, names: tuple[str, str, str]) -> None:
    package, env_cfg, agent_cfg = names
    module = "reference" if "Reference" in env_cfg else f"{package}.env_cfg"
    spec = gymnasium.spec(task_id)
    assert spec.entry_point == "isaaclab.envs:ManagerBasedRLEnv"
    assert spec.disable_env_checker
    assert spec.kwargs["env_cfg_entry_point"] == f"rlmpc.tasks.{module}:{env_cfg}"
    agent = "blind_rl" if package.startswith("blind") else package
    assert spec.kwargs["rsl_rl_cfg_entry_point"] == f"rlmpc.tasks.{agent}.rsl_rl_cfg:{agent_cfg}"


def test_importing_the_tasks_twice_warns_of_nothing_and_imports_no_simulator() -> None:
    code = (
        "import importlib, sys, rlmpc.tasks; importlib.reload(rlmpc.tasks); "
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    command = [sys.executable, "-W", "error::UserWarning", "-c", code]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert "gymnasium" in loaded
    assert not {"isaaclab", "isaaclab_newton", "warp", "torch"} & set(loaded)
