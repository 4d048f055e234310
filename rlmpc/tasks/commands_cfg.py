"""Commands of the locomotion tasks: kinds of commands, their shares and ranges."""

import math

from isaaclab.utils import configclass

from rlmpc.tasks import mdp


@configclass
class CommandsCfg:
    """The commanded velocity."""

    base_velocity = mdp.WideningVelocityCommandCfg(
        asset_name="robot",
        heading_command=True,
        rel_heading_envs=0.7,
        heading_control_stiffness=0.5,
        rel_forward_envs=0.3,
        rel_sideways_envs=0.08,
        rel_turning_envs=0.1,
        rel_standing_envs=0.08,
        resampling_time_range=(6.0, 12.0),
        ranges=mdp.WideningVelocityCommandCfg.Ranges(
            lin_vel_x=(0.3, 0.8), lin_vel_y=(-0.1, 0.1), ang_vel_z=(-0.5, 0.5), heading=(-math.pi, math.pi)
        ),
        limits=mdp.WideningVelocityCommandCfg.Ranges(
            lin_vel_x=(-0.5, 1.0), lin_vel_y=(-0.5, 0.5), ang_vel_z=(-1.0, 1.0), heading=(-math.pi, math.pi)
        ),
    )
