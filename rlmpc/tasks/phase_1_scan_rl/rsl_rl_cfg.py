"""The PPO of `blind_rl` as an rsl_rl configuration for `phase_1_scan_rl`."""

from isaaclab.utils import configclass

from rlmpc.tasks.blind_rl.rsl_rl_cfg import BlindPpoRunnerCfg


@configclass
class ScanPpoRunnerCfg(BlindPpoRunnerCfg):
    """The algorithm and networks of `blind_rl`; the scan is part of the groups they read."""

    experiment_name = "phase_1_scan_rl"
