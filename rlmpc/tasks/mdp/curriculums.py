"""Curricula: wider commands and harder terrain for robots that do well."""

from typing import Any, cast

import torch
from isaaclab.envs import ManagerBasedRLEnv
from isaaclab.managers import CurriculumTermCfg, ManagerTermBase, SceneEntityCfg

from rlmpc.tasks.mdp.commands import AXES, WideningVelocityCommand
from rlmpc.tasks.mdp.selected import Selected, mask_of, uniform, write


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
        # The first two axes follow the xy reward, yaw its own.
        self._reward_of_axis = torch.tensor([axis.startswith("ang") for axis in AXES], device=self.device).long()
        self._last_check_step = torch.zeros((), dtype=torch.long, device=self.device)

    def __call__(
        self,
        env: ManagerBasedRLEnv,
        env_ids: Selected,
        command_name: str,
        lin_vel_reward: str,
        ang_vel_reward: str,
        threshold: float = 0.8,
        step: float = 0.1,
    ) -> dict[str, torch.Tensor]:
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
        mask = mask_of(env, env_ids)
        self._add_episodes(mask, (lin_vel_reward, ang_vel_reward))
        command = cast(WideningVelocityCommand, env.command_manager.get_term(command_name))
        # Masked steps have their clock on the device; Isaac Lab's own is a number of the host.
        now = getattr(env, "step_clock", env.common_step_counter)
        is_due = (now - self._last_check_step >= env.max_episode_length) & mask.any()
        is_tracked = self._tracked / self._num_episodes.clamp(min=1.0) > threshold
        command.widen(is_due & is_tracked[self._reward_of_axis], step)
        self._tracked.masked_fill_(is_due, 0.0)
        self._num_episodes.masked_fill_(is_due, 0.0)
        self._last_check_step.copy_(torch.where(is_due, now, self._last_check_step))
        return command.upper_ends

    def state_dict(self) -> dict[str, Any]:
        """Return what was added since the last check, for a checkpoint."""
        return {
            "tracked": self._tracked.tolist(),
            "num_episodes": self._num_episodes.tolist(),
            "last_check_step": self._last_check_step.tolist(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._tracked.copy_(torch.tensor(state["tracked"]))
        self._num_episodes.fill_(state["num_episodes"])
        self._last_check_step.fill_(state["last_check_step"])

    def _add_episodes(self, mask: torch.Tensor, reward_names: tuple[str, str]) -> None:
        """Accumulate the share of the best reward earned by the ended episodes."""
        manager = self._env.reward_manager
        has_run = mask & (self._env.episode_length_buf > 0)
        for index, name in enumerate(reward_names):
            best = manager.get_term_cfg(name).weight * self._env.max_episode_length_s
            # An episode that ended with a non-finite state counts as untracked.
            share = torch.nan_to_num(manager._episode_sums[name] / best)
            self._tracked[index] += (share * has_run).sum()
        self._num_episodes += has_run.sum()


def terrain_levels(
    env: ManagerBasedRLEnv,
    env_ids: Selected,
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
    mask = mask_of(env, env_ids)
    terminations = env.termination_manager
    reasons = torch.stack([terminations.get_term(name) for name in terminations.active_terms])
    # The flags of the last step outlive the reset; an environment that is reset twice in a row must not move twice.
    ended_once = mask & (reasons.sum(dim=0) == 1) & (env.episode_length_buf > 0)

    offset = env.scene[asset_cfg.name].data.root_pos_w.torch[:, :2] - env.scene.env_origins[:, :2]
    has_walked = offset.norm(dim=1) >= min_distance
    is_commanded = env.command_manager.get_command(command_name)[:, :2].norm(dim=1) > min_speed
    has_lasted = terminations.get_term(time_out_termination) & is_commanded & has_walked
    has_arrived = terminations.get_term(arrival_termination)
    up, down = ended_once & (has_arrived | has_lasted), ended_once & terminations.get_term(fall_termination)

    terrain = env.scene.terrain
    assert terrain is not None and terrain.terrain_origins is not None and terrain.env_origins is not None
    levels = (terrain.terrain_levels + up.long() - down.long()).clamp(min=0)
    # A robot that has mastered the hardest tile goes on at any level.
    top = terrain.max_terrain_level - 1
    anywhere = uniform(env, mask, 0.0, float(top + 1)).long().clamp(max=top)
    levels = torch.where(levels > top, anywhere, levels)
    write(terrain.terrain_levels, mask, levels)
    write(terrain.env_origins, mask, terrain.terrain_origins[terrain.terrain_levels, terrain.terrain_types])
    return terrain.terrain_levels.float().mean()
