"""Isaac Lab's environment, extended to keep the ends of episodes and to restart faulty environments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from isaaclab.envs import ManagerBasedRLEnv
from torch import Tensor

from rlmpc.envs.isaaclab.contract import nominal_gains
from rlmpc.envs.vec_env import Obs
from rlmpc.tasks import mdp

FAULTS = ("non_finite", "unsolved")
"""Names of the terminations for a broken simulation or controller. Others take them for falls; here the step is faulty.
"""


@dataclass(frozen=True)
class HeldOutEnvs:
    """Environments that training leaves alone."""

    mask: Tensor
    """(N,) bool."""
    motion: Callable[[], dict[str, Tensor]]
    """Measures all robots for `Step.motion`."""


class EpisodeEndEnv(ManagerBasedRLEnv):
    """Isaac Lab's environment, which also keeps the last observation of an episode and restarts faulty environments.

    Isaac Lab's own `final_obs` reads history buffers that lack the last frame, and its log averages the reasons of old
    episodes. Both are read here instead, at the one moment when the ended episode is still complete.
    """

    terminal_obs: Obs | None = None
    """The group `value_group` at the end of episodes that ended in this step."""
    value_group: str
    is_recording: bool = False
    """False while everything is reset at once, which ends no episode."""
    nominal_gains: dict[str, list[float]]
    """Joint gains before they were randomised."""
    episode_names: tuple[str, ...]
    episode_sums: Tensor
    """Sums over ended episodes of `episode_names`, followed by their count."""
    restart_asked: Tensor
    """(N,) bool: the environments that the next step restarts."""
    faulty: Tensor
    """(N,) bool: the environments whose last step cannot be used."""
    held_out: HeldOutEnvs | None = None
    """Environments whose episodes count nowhere; not a tensor, because it is no state."""

    @property
    def uncounted(self) -> Tensor:
        """(N,) bool: the environments that end no episode when they start anew in this step."""
        return self.faulty if self.held_out is None else self.faulty | self.held_out.mask

    def motion(self) -> dict[str, Tensor]:
        """Return `Step.motion`: how the robots move, if some are held out."""
        return {} if self.held_out is None else self.held_out.motion()

    def load_managers(self) -> None:
        self.nominal_gains = nominal_gains(self)
        super().load_managers()
        commands = [self.command_manager.get_term(name) for name in self.command_manager.active_terms]
        self._command_metrics = tuple(metric for term in commands for metric in term.metrics)
        self.episode_names = (
            *(f"reward/{name}" for name in self.reward_manager.active_terms),
            *(f"termination/{name}" for name in self.termination_manager.active_terms),
            *(f"command/{name}" for name in self._command_metrics),
        )
        self.episode_sums = torch.zeros(len(self.episode_names) + 1, device=self.device)
        self.restart_asked = torch.zeros(self.num_envs, dtype=torch.bool, device=self.device)
        self.faulty = torch.zeros_like(self.restart_asked)
        scales = [t.func for t in self.curriculum_manager._term_cfgs if isinstance(t.func, mdp.PenaltyScale)]
        self._penalty_scale = scales[0] if scales else None
        weights = [self.reward_manager.get_term_cfg(name).weight for name in self.reward_manager.active_terms]
        penalties = [index for index, weight in enumerate(weights) if weight < 0.0]
        self._penalties = torch.tensor(penalties, dtype=torch.long, device=self.device)
        self._compute_rewards = self.reward_manager.compute
        # Between the rewards and the resets of a step, Isaac Lab calls no method that could be overridden.
        self.reward_manager.compute = self._rewards_and_faults

    def _rewards_and_faults(self, dt: float) -> Tensor:
        """Return the rewards (N,); faulty environments are marked for reset and earn nothing."""
        reward = self._compute_rewards(dt)
        self._find_faults(reward, dt)
        self._end_commands()
        return reward

    def _end_commands(self) -> None:
        """Let commands show how the step ended: a last observation is what would have been seen without the reset."""
        for name in self.command_manager.active_terms:
            term = self.command_manager.get_term(name)
            if isinstance(term, mdp.WideningVelocityCommand):
                term.end_step()
            else:
                term._update_command()

    def _find_faults(self, reward: Tensor, dt: float) -> None:
        """Scale the penalties in `reward` (N,); mark faulty environments for reset and let them earn nothing."""
        if self._penalty_scale is not None:
            penalties = self.reward_manager._step_reward[:, self._penalties].sum(dim=1)
            reward += (self._penalty_scale.scale - 1.0) * penalties * dt
        # As `finite_rows`: in fewer kernels than `torch.isfinite`.
        self.faulty = self.restart_asked | (reward - reward != 0.0)
        for name in set(FAULTS) & set(self.termination_manager.active_terms):
            self.faulty |= self.termination_manager.get_term(name)
        self.restart_asked.zero_()
        self.reset_buf |= self.faulty
        reward.masked_fill_(self.faulty, 0.0)

    def _reset_idx(self, env_ids: Tensor | slice) -> None:
        """Reset environments; those that end no episode apart, as Isaac Lab averages over all that it resets at once.

        They come last, so that their commands are drawn from ranges that the others' episodes may have widened. Isaac
        Lab has just waited for the device to determine these environments, so there is little to wait for here.
        """
        if not self.is_recording:
            super()._reset_idx(env_ids)
            return
        assert isinstance(env_ids, Tensor)
        uncounted = self.uncounted[env_ids]
        ended_ids, uncounted_ids = env_ids[~uncounted], env_ids[uncounted]
        if len(ended_ids) > 0:
            self.terminal_obs = {self.value_group: self._observe_now(self.value_group)}
            ended = self._rewards_and_reasons()[ended_ids]
            super()._reset_idx(ended_ids)
            self._add_episodes(ended)
        if len(uncounted_ids) > 0:
            # Curricula ignore episodes without a step.
            self.episode_length_buf[uncounted_ids] = 0
            super()._reset_idx(uncounted_ids)

    def _rewards_and_reasons(self) -> Tensor:
        """Return the rewards of the episodes so far, and why they end in this step, (N, terms)."""
        reasons = torch.stack([self.termination_manager.get_term(n) for n in self.termination_manager.active_terms], 1)
        rewards = self.reward_manager._episode_sum_buf / self.max_episode_length_s
        return torch.cat([rewards, reasons.float()], dim=1)

    def _observe_now(self, group: str) -> Tensor:
        """Return the group's observation (N, D_g) with the current frame in its histories; buffers do not change."""
        buffers = self.observation_manager._group_obs_term_history_buffer[group].values()
        saved = [(b, b._buffer.clone(), b._num_pushes.clone(), b._need_reset) for b in buffers if b._buffer is not None]
        observed = self.observation_manager.compute_group(group, update_history=True)
        for buffer, frames, num_pushes, need_reset in saved:
            buffer._buffer.copy_(frames)
            buffer._num_pushes.copy_(num_pushes)
            buffer._need_reset = need_reset
        assert isinstance(observed, Tensor)
        return observed

    def _add_episodes(self, ended: Tensor) -> None:
        """Add rewards and reasons (episodes, terms), and the command metrics that Isaac Lab has just logged."""
        logged = {
            name.split("/")[-1]: value for name, value in self.extras["log"].items() if name.startswith("Metrics/")
        }
        count = float(ended.shape[0])
        means = [torch.as_tensor(logged[name], device=ended.device).float() for name in self._command_metrics]
        sums = [mean.view(1) * count for mean in means]
        self.episode_sums += torch.cat([ended.sum(dim=0), *sums, ended.new_tensor([count])])
