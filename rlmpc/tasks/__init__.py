"""Tasks: environment configurations and the terms they are made of.

Importing this package only registers every task with gymnasium: configurations are given as `"module:Class"` strings,
so that Isaac Lab is imported only when a task is made. Each task has a training and a play variant; a flat variant is
for quick checks.
"""

import gymnasium


def _register(task_id: str, env_cfg: str, rsl_rl_cfg: str) -> None:
    """Register a task, given as `"module:Class"`, under the keys that Isaac Lab's own clients look up."""
    if task_id in gymnasium.registry:
        return
    gymnasium.register(
        id=task_id,
        entry_point="isaaclab.envs:ManagerBasedRLEnv",
        disable_env_checker=True,
        kwargs={"env_cfg_entry_point": env_cfg, "rsl_rl_cfg_entry_point": rsl_rl_cfg},
    )


_BLIND = "rlmpc.tasks.blind_rl"
_BLIND_AGENT = f"{_BLIND}.rsl_rl_cfg:BlindPpoRunnerCfg"

_register("RLMPC-Blind-G1-v0", f"{_BLIND}.env_cfg:BlindEnvCfg", _BLIND_AGENT)
_register("RLMPC-Blind-G1-Play-v0", f"{_BLIND}.env_cfg:BlindPlayEnvCfg", _BLIND_AGENT)
_register("RLMPC-Blind-Flat-G1-v0", f"{_BLIND}.env_cfg:BlindFlatEnvCfg", _BLIND_AGENT)
_register("RLMPC-Blind-Flat-G1-Play-v0", f"{_BLIND}.env_cfg:BlindFlatPlayEnvCfg", _BLIND_AGENT)

_SCAN = "rlmpc.tasks.phase_1_scan_rl"
_SCAN_AGENT = f"{_SCAN}.rsl_rl_cfg:ScanPpoRunnerCfg"

_register("RLMPC-Phase1-Scan-G1-v0", f"{_SCAN}.env_cfg:ScanEnvCfg", _SCAN_AGENT)
_register("RLMPC-Phase1-Scan-G1-Play-v0", f"{_SCAN}.env_cfg:ScanPlayEnvCfg", _SCAN_AGENT)

_MPC = "rlmpc.tasks.blind_mpc.env_cfg"

_register("RLMPC-Blind-MPC-G1-v0", f"{_MPC}:BlindMpcEnvCfg", _BLIND_AGENT)
_register("RLMPC-Blind-MPC-G1-Play-v0", f"{_MPC}:BlindMpcPlayEnvCfg", _BLIND_AGENT)
_register("RLMPC-Blind-MPC-Flat-G1-v0", f"{_MPC}:BlindMpcFlatEnvCfg", _BLIND_AGENT)
_register("RLMPC-Blind-MPC-Flat-G1-Play-v0", f"{_MPC}:BlindMpcFlatPlayEnvCfg", _BLIND_AGENT)

_REFERENCE = "rlmpc.tasks.reference"

_register("RLMPC-Blind-Reference-G1-v0", f"{_REFERENCE}:BlindReferenceEnvCfg", _BLIND_AGENT)
_register("RLMPC-Blind-Reference-G1-Play-v0", f"{_REFERENCE}:BlindReferencePlayEnvCfg", _BLIND_AGENT)
_register("RLMPC-Phase1-Scan-Reference-G1-v0", f"{_REFERENCE}:ScanReferenceEnvCfg", _SCAN_AGENT)
_register("RLMPC-Phase1-Scan-Reference-G1-Play-v0", f"{_REFERENCE}:ScanReferencePlayEnvCfg", _SCAN_AGENT)
