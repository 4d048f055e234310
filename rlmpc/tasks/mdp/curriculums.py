"""Curricula: wider commands and harder terrain for robots that do well."""

from typing import Any, cast

import torch
from isaaclab.envs import ManagerBasedRLEnv
from isaaclab.managers import CurriculumTermCfg, ManagerTermBase, SceneEntityCfg

from rlmpc.tasks.mdp.commands import WideningVelocityCommand


class WidenCommandRanges(ManagerTermBase):
    """A curriculum that widens the velocity command when it is tracked well.

    vx and vy widen together when the xy-tracking reward, averaged over the episodes that ended since the last check,
    exceeds a share of its maximum; yaw widens likewise by the yaw-tracking reward. There is one check per episode
    length. An episode's reward is divided by the longest possible episode, not by its own length: a robot that falls at
    once has tracked nothing for the rest of the episode and must not count as tracking well.
    """

    _env: ManagerBasedRLEnv

    def __init__(self, cfg: CurriculumTermCfg, env: ManagerBasedRLEnv) -> None:
        """Start without episodes; the term's parameters are the arguments of `__call__`."""
        super().__init__(cfg, env)
        self._tracked = torch.zeros(2, device=self.device)
        self._num_episodes = torch.zeros((), device=self.device)
        self._last_check_step = 0

    def __call__(
        self,
        env: ManagerBasedRLEnv,
        env_ids: torch.Tensor | slice,
        command_name: str,
        lin_vel_reward: str,
        ang_vel_reward: str,
        threshold: float = 0.8,
        step: float = 0.1,
    ) -> dict[str, float]:
        """Add the episodes that just ended and, once per episode length, widen the ranges.

        Args:
            env: The environment.
            env_ids: Environments whose episodes ended.
            command_name: Name of the velocity command.
            lin_vel_reward: Name of the xy-tracking reward, whose best value per second is its weight.
            ang_vel_reward: Name of the yaw-tracking reward.
            threshold: Share of the best reward above which a range widens.
            step: How far each end of a range moves [m/s, rad/s].

        Returns:
            Upper ends of the ranges [m/s, m/s, rad/s], for logging.
        """
        self._add_episodes(env_ids, (lin_vel_reward, ang_vel_reward))
        command = cast(WideningVelocityCommand, env.command_manager.get_term(command_name))
        if env.common_step_counter - self._last_check_step >= env.max_episode_length:
            # The only host read, once per episode length.
            lin_share, ang_share = (self._tracked / self._num_episodes.clamp(min=1.0)).tolist()
            if lin_share > threshold:
                command.widen("lin_vel_x", step)
                command.widen("lin_vel_y", step)
            if ang_share > threshold:
                command.widen("ang_vel_z", step)
            self._tracked.zero_()
            self._num_episodes.zero_()
            self._last_check_step = env.common_step_counter
        return {axis: high for axis, (_, high) in command.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        """Return what was added since the last check, for a checkpoint."""
        return {
            "tracked": self._tracked.tolist(),
            "num_episodes": self._num_episodes.tolist(),
            "last_check_step": self._last_check_step,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._tracked.copy_(torch.tensor(state["tracked"]))
        self._num_episodes.fill_(state["num_episodes"])
        self._last_check_step = state["last_check_step"]

    def _add_episodes(self, env_ids: torch.Tensor | slice, reward_names: tuple[str, str]) -> None:
        """Accumulate the share of the best reward earned by the ended episodes."""
        manager = self._env.reward_manager
        has_run = self._env.episode_length_buf[env_ids] > 0
        for index, name in enumerate(reward_names):
            best = manager.get_term_cfg(name).weight * self._env.max_episode_length_s
            # An episode that ended with a non-finite state counts as untracked.
            share = torch.nan_to_num(manager._episode_sums[name][env_ids] / best)
            self._tracked[index] += (share * has_run).sum()
        self._num_episodes += has_run.sum()


def terrain_levels(
    env: ManagerBasedRLEnv,
    env_ids: torch.Tensor | slice,
    command_name: str,
    arrival_termination: str,
    time_out_termination: str,
    fall_termination: str,
    min_speed: float = 0.5,
    min_distance: float = 2.0,
    asset_cfg: SceneEntityCfg = SceneEntityCfg("robot"),
) -> torch.Tensor:
    """Move robots to harder or easier tiles according to how their episode ended.

    They move up if it ended only by arrival, or only by a time-out while commanded to walk and after walking; down if
    it ended only by a fall. Anything else, and a reset before the first step, changes nothing.

    Args:
        env: The environment.
        env_ids: Environments whose episodes ended.
        command_name: Name of the velocity command.
        arrival_termination: Name of the termination that means the robot has crossed its tile.
        time_out_termination: Name of the time-out.
        fall_termination: Name of the termination that means the robot has fallen.
        min_speed: A time-out counts only above this commanded xy speed [m/s].
        min_distance: A time-out counts only this far from the tile's centre, in the plane [m].
        asset_cfg: Robot.

    Returns:
        Mean terrain level, shape ().
    """
    terminations = env.termination_manager
    num_reasons = sum(terminations.get_term(name)[env_ids].int() for name in terminations.active_terms)
    # The flags of the last step outlive the reset; an environment that is reset twice in a row must not move twice.
    ended_once = (num_reasons == 1) & (env.episode_length_buf[env_ids] > 0)

    offset = env.scene[asset_cfg.name].data.root_pos_w.torch[env_ids, :2] - env.scene.env_origins[env_ids, :2]
    has_walked = offset.norm(dim=1) >= min_distance
    is_commanded = env.command_manager.get_command(command_name)[env_ids, :2].norm(dim=1) > min_speed

    has_arrived = terminations.get_term(arrival_termination)[env_ids]
    has_lasted = terminations.get_term(time_out_termination)[env_ids] & is_commanded & has_walked
    terrain = env.scene.terrain
    assert terrain is not None
    terrain.update_env_origins(
        cast(torch.Tensor, env_ids),  # only used as an index, so a slice works as well
        move_up=ended_once & (has_arrived | has_lasted),
        move_down=ended_once & terminations.get_term(fall_termination)[env_ids],
    )
    return terrain.terrain_levels.float().mean()
