"""The numbers of the reference system, for comparison with the defaults, which are what measures best.

`task=blind_rl_reference` and `task=phase_1_scan_rl_reference` train with them; `docs/tasks.md` compares.
"""

from isaaclab.sensors import patterns
from isaaclab.utils import configclass

from rlmpc.tasks.blind_rl.env_cfg import BlindEnvCfg
from rlmpc.tasks.locomotion_env_cfg import LocomotionEnvCfg, in_play_mode
from rlmpc.tasks.mdp import WideningVelocityCommandCfg
from rlmpc.tasks.phase_1_scan_rl.env_cfg import ScanEnvCfg

_LEVELS = {"min_speed": 0.5, "up_share": 0.0, "down_share": 0.0}
_RANGES = {"lin_vel_reward": "track_lin_vel_xy", "threshold": 0.8, "by_own_length": False}


def use_reference_numbers(cfg: LocomotionEnvCfg) -> None:
    """Give a task the reference's rewards, observations, commands, gait, pushes and curricula."""
    _use_rewards(cfg)
    cfg.observations.teacher.history_length = cfg.observations.critic.history_length = None
    cfg.observations.critic.velocity_error = None
    command = cfg.commands.base_velocity
    command.heading_command = False
    command.rel_forward_envs = command.rel_sideways_envs = command.rel_turning_envs = 0.0
    command.rel_standing_envs = 0.05
    command.resampling_time_range = (2.0, 12.0)
    command.ranges = WideningVelocityCommandCfg.Ranges(
        lin_vel_x=(-0.1, 0.1), lin_vel_y=(-0.1, 0.1), ang_vel_z=(-0.1, 0.1)
    )
    command.limits = WideningVelocityCommandCfg.Ranges(
        lin_vel_x=(-0.5, 1.0), lin_vel_y=(-0.5, 0.5), ang_vel_z=(-2.0, 2.0)
    )
    cfg.actions.gait_cycle.offset_s, cfg.actions.gait_cycle.scale_s = 0.5, 0.25
    cfg.yaw_action_scale = None
    assert cfg.events.push is not None
    cfg.events.push.interval_range_s = (0.25, 12.0)
    cfg.events.push.params["min_lin_vel_x"] = 0.5
    assert cfg.curriculum.terrain_levels is not None and cfg.curriculum.command_ranges is not None
    cfg.curriculum.penalty_scale = None
    cfg.curriculum.terrain_levels.params |= _LEVELS
    cfg.curriculum.command_ranges.params |= _RANGES
    cfg.finalize()


def _use_rewards(cfg: LocomotionEnvCfg) -> None:
    rewards = cfg.rewards
    rewards.velocity_along_command = rewards.swing_clearance = None
    rewards.track_lin_vel_xy.weight = 3.0
    rewards.track_ang_vel_z.params["averaged"] = False
    rewards.gait_period.params["period_s"] = 0.5


@configclass
class BlindReferenceEnvCfg(BlindEnvCfg):
    """`blind_rl` with the reference's numbers."""

    def __post_init__(self) -> None:
        """Replace the numbers."""
        super().__post_init__()
        use_reference_numbers(self)


@configclass
class ScanReferenceEnvCfg(ScanEnvCfg):
    """`phase_1_scan_rl` with the reference's numbers."""

    def __post_init__(self) -> None:
        """Replace the numbers; commands are forward only, and fast ones once they are followed."""
        super().__post_init__()
        use_reference_numbers(self)
        self._use_scan()
        command = self.commands.base_velocity
        command.ranges.lin_vel_x, command.limits.lin_vel_x = (0.0, 0.1), (0.0, 1.0)
        command.min_lin_vel_x_at_limit = 0.5
        self.rewards.action_rate.weight = -0.05
        assert self.events.push is not None
        self.events.push.interval_range_s = (0.25, 7.0)

    def _use_scan(self) -> None:
        """Reach further down and less far to the sides, over equal shares of ground, and show frames of before."""
        scanner = self.scene.height_scanner
        scanner.max_distance, scanner.pattern_cfg = 7.0, patterns.GridPatternCfg(resolution=0.05, size=(1.3, 0.4))
        generator = self.scene.terrain.terrain_generator
        assert generator is not None
        generator.num_cols, generator.sub_terrains["stepping_stones"].proportion = 4, 1.0
        self.observations.policy.keep_frames(5)
        self.rewards.sole_overhang = None


BlindReferencePlayEnvCfg = in_play_mode(BlindReferenceEnvCfg)
ScanReferencePlayEnvCfg = in_play_mode(ScanReferenceEnvCfg)
