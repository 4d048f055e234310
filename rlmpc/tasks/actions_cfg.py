"""Actions of the locomotion tasks."""

from isaaclab.utils import configclass

from rlmpc.tasks import mdp


@configclass
class ActionsCfg:
    """Position targets of all joints relative to the default pose [rad], then one action for the gait period."""

    joint_pos: mdp.JointPositionActionCfg | None = mdp.JointPositionActionCfg(
        asset_name="robot", joint_names=[".*"], use_default_offset=True
    )
    """The scale is set from the robot."""

    gait_cycle = mdp.GaitCycleActionCfg(offset_s=0.7, scale_s=0.1)
