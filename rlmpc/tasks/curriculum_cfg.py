"""Curricula of the locomotion tasks: levels of terrain, weight of the penalties, ranges of the commands."""

from isaaclab.managers import CurriculumTermCfg
from isaaclab.utils import configclass

from rlmpc.tasks import mdp


@configclass
class CurriculumCfg:
    """What becomes harder during training."""

    terrain_levels: CurriculumTermCfg | None = CurriculumTermCfg(
        # Isaac Lab's annotation omits classes, which its manager instantiates, and tensors, which it logs like floats.
        func=mdp.TerrainLevels,  # pyright: ignore[reportArgumentType]
        params={
            "command_name": "base_velocity",
            "arrival_termination": "left_tile",
            "time_out_termination": "time_out",
            "fall_termination": "bad_orientation",
            "min_speed": 0.2,
            "min_distance": 2.0,
            "up_share": 0.8,
            "down_share": 0.5,
            "mastered_level": 0,
        },
    )
    penalty_scale: CurriculumTermCfg | None = CurriculumTermCfg(
        func=mdp.PenaltyScale,  # pyright: ignore[reportArgumentType]
        params={"command_name": "base_velocity", "start": 0.1, "full_share": 0.6},
    )
    command_ranges: CurriculumTermCfg | None = CurriculumTermCfg(
        func=mdp.WidenCommandRanges,  # pyright: ignore[reportArgumentType]
        params={
            "command_name": "base_velocity",
            "lin_vel_reward": "velocity_along_command",
            "ang_vel_reward": "track_ang_vel_z",
            "threshold": 0.7,
            "step": 0.1,
            "by_own_length": True,
        },
    )
