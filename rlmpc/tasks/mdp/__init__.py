"""Terms of the tasks: Isaac Lab's own, those of its velocity tasks, and ours, under one name."""
# This module exists to re-export, the library's terms included.
# ruff: noqa: F401, F403
# pyright: reportWildcardImportFromLibrary=false

from isaaclab.envs.mdp import *
from isaaclab_tasks.core.velocity.mdp import (
    feet_slide,
    track_lin_vel_xy_yaw_frame_exp,
)

from rlmpc.tasks.mdp.commands import WideningVelocityCommand, WideningVelocityCommandCfg
from rlmpc.tasks.mdp.curriculums.command_ranges import WidenCommandRanges
from rlmpc.tasks.mdp.curriculums.penalty_scale import PenaltyScale
from rlmpc.tasks.mdp.curriculums.terrain_levels import TerrainLevels
from rlmpc.tasks.mdp.events import push_at_speed, reset_root_four_headings
from rlmpc.tasks.mdp.gait_cycle_action import GaitCycleAction, GaitCycleActionCfg
from rlmpc.tasks.mdp.mpc_action import MpcAction, MpcActionCfg
from rlmpc.tasks.mdp.mpc_observations import (
    mpc_cost,
    mpc_parameters,
    mpc_residual,
    planned_contacts,
    planned_wrench,
    unsolved,
)
from rlmpc.tasks.mdp.observations import (
    BodyComOffset,
    BodyMass,
    FrictionCoefficient,
    JointDamping,
    JointStiffness,
    base_height,
    foot_contact,
    gait_phase,
    height_scan,
    velocity_error,
)
from rlmpc.tasks.mdp.overhang import sole_overhang
from rlmpc.tasks.mdp.rewards import (
    downward_velocity_l2,
    gait_period_exp,
    gait_phase_agreement,
    joint_power,
    joint_torques_mean_l2,
    swing_clearance,
    track_yaw_rate_exp,
    velocity_along_command,
)
from rlmpc.tasks.mdp.terminations import left_tile, non_finite_state
