"""The curriculum of commands: ranges widen for robots that track them well."""

from typing import Any, cast

import torch
from isaaclab.envs import ManagerBasedRLEnv
from isaaclab.managers import CurriculumTermCfg, ManagerTermBase

from rlmpc.tasks.mdp.commands import AXES, WideningVelocityCommand
from rlmpc.tasks.mdp.selected import Selected, mask_of


class WidenCommandRanges(ManagerTermBase):
    """A curriculum that widens the velocity command when it is tracked well.

    vx and vy widen together when the xy-tracking reward, averaged over the episodes that ended since the last check,
    exceeds a share of its maximum; yaw widens likewise by the yaw-tracking reward. There is one check per episode
    length. The reward of an episode that ended in a fall is divided by the longest possible episode, not by its own
    length: a robot that falls at once has tracked nothing for the rest and must not count as tracking well.
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
        by_own_length: bool = False,
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
            by_own_length: Whether an episode that ended well before its time, by crossing its tile, is divided by its
                own length.

        Returns:
            Upper ends of the ranges [m/s, m/s, rad/s], for logging.
        """
        # An environment that restarts after a fault has ended no episode.
        has_run = mask_of(env, env_ids) & (env.episode_length_buf > 0)
        self._add_episodes(has_run, (lin_vel_reward, ang_vel_reward), by_own_length)
        command = cast(WideningVelocityCommand, env.command_manager.get_term(command_name))
        # Masked steps have their clock on the device; Isaac Lab's own is a number of the host.
        now = getattr(env, "step_clock", env.common_step_counter)
        is_due = (now - self._last_check_step >= env.max_episode_length) & has_run.any()
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

    def _add_episodes(self, has_run: torch.Tensor, reward_names: tuple[str, str], by_own_length: bool) -> None:
        """Accumulate the share of the best reward earned by the ended episodes."""
        env, manager = self._env, self._env.reward_manager
        length_s: float | torch.Tensor = env.max_episode_length_s
        if by_own_length:
            own = (env.episode_length_buf * env.step_dt).clamp(min=env.step_dt)
            length_s = torch.where(env.termination_manager.terminated, length_s, own)
        for index, name in enumerate(reward_names):
            best = manager.get_term_cfg(name).weight * length_s
            # An episode that ended with a non-finite state counts as untracked.
            share = torch.nan_to_num(manager._episode_sums[name] / best)
            self._tracked[index] += (share * has_run).sum()
        self._num_episodes += has_run.sum()
