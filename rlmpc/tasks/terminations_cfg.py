"""Terminations of the locomotion tasks."""

from isaaclab.managers import TerminationTermCfg
from isaaclab.utils import configclass

from rlmpc.tasks import mdp


@configclass
class TerminationsCfg:
    """Why an episode ends. Time-outs, and leaving the tile, are truncations: the value function is bootstrapped."""

    time_out = TerminationTermCfg(func=mdp.time_out, time_out=True)
    left_tile = TerminationTermCfg(func=mdp.left_tile, time_out=True)
    fell_below = TerminationTermCfg(func=mdp.root_height_below_minimum, params={"minimum_height": -5.0})
    bad_orientation = TerminationTermCfg(func=mdp.bad_orientation, params={"limit_angle": 0.8})
    non_finite = TerminationTermCfg(func=mdp.non_finite_state)
